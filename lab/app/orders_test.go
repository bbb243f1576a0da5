package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

var errSure = fmt.Errorf("%w: refused", errSureNothing)

// fakeStores is both stores; it notes every step and fails where it is told to.
type fakeStores struct {
	steps []string
	fails map[string]error
	dup   bool
}

func (f *fakeStores) step(name string) error {
	f.steps = append(f.steps, name)
	return f.fails[name]
}

func (f *fakeStores) begin(context.Context) (transaction, error) { return f, f.step("begin") }
func (f *fakeStores) add(context.Context, string) (bool, error)  { return !f.dup, f.step("add") }
func (f *fakeStores) commit() error                              { return f.step("commit") }
func (f *fakeStores) rollback()                                  { _ = f.step("rollback") }
func (f *fakeStores) put(context.Context, string) error          { return f.step("put") }
func (f *fakeStores) takesWrites(context.Context) error          { return f.fails["takesWrites"] }

func TestOrderIsWrittenInTheDocumentedOrder(t *testing.T) {
	f := &fakeStores{}
	if found, err := place(context.Background(), f, f, "a"); found != written || err != nil {
		t.Fatal(found, err)
	}
	if want := []string{"begin", "add", "commit", "put", "rollback"}; !slices.Equal(f.steps, want) {
		t.Fatal(f.steps)
	}
}

func TestAnOrderThatIsThereIsNotWrittenAgain(t *testing.T) {
	f := &fakeStores{dup: true}
	if found, err := place(context.Background(), f, f, "a"); found != written || err != nil {
		t.Fatal(found, err)
	}
	if slices.Contains(f.steps, "commit") || !slices.Contains(f.steps, "put") {
		t.Fatal(f.steps)
	}
}

func TestOnlyWhatIsKnownIsSaid(t *testing.T) {
	lost := errors.New("connection lost")
	for _, c := range []struct {
		at   string
		err  error
		want outcome
	}{
		{"begin", lost, nothing},
		{"add", errSure, nothing},
		{"add", lost, unknown},
		{"commit", errSure, nothing},
		{"commit", lost, unknown},
		{"put", lost, unknown},
		{"put", errSure, unknown}, // the database has it by then
	} {
		f := &fakeStores{fails: map[string]error{c.at: c.err}}
		found, err := place(context.Background(), f, f, "a")
		if found != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s fails with %v: %v, %v", c.at, c.err, found, err)
		}
		if c.at == "add" && slices.Contains(f.steps, "commit") {
			t.Errorf("committed after %v", c.err)
		}
	}
}

func TestOnlyTheServersOwnWordIsARefusal(t *testing.T) {
	for code, sure := range map[uint16]bool{readOnlyIsSet: true, deadlock: true, lockWait: false} {
		if got := errors.Is(refusal(&mysql.MySQLError{Number: code}), errSureNothing); got != sure {
			t.Errorf("%d: %v", code, got)
		}
	}
	if errors.Is(refusal(mysql.ErrInvalidConn), errSureNothing) {
		t.Error("a lost connection is no word")
	}
}

func serviceOf(t *testing.T, f *fakeStores) *orders {
	t.Helper()
	o := &orders{newService(demo, time.Now), &stores{db: f, cache: f}}
	o.state.Store(ready)
	return o
}

func post(o *orders, body string, headers ...string) (int, map[string]any) {
	request := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	o.handler().ServeHTTP(answer, request)
	var said map[string]any
	_ = json.Unmarshal(answer.Body.Bytes(), &said)
	return answer.Code, said
}

func TestAnswersOfPost(t *testing.T) {
	lost := errors.New("lost")
	for _, c := range []struct {
		name  string
		fails map[string]error
		body  string
		key   string
		code  int
		said  any
	}{
		{"written", nil, `{"id":"w1-2"}`, "w1-2", 200, true},
		{"read-only", map[string]error{"add": errSure}, `{"id":"w1-2"}`, "w1-2", 503, false},
		{"no answer to COMMIT", map[string]error{"commit": lost}, `{"id":"w1-2"}`, "w1-2", 500, nil},
		{"another key", nil, `{"id":"w1-2"}`, "w1-3", 409, false},
		{"no id", nil, `{}`, "", 400, false},
		{"a bad id", nil, `{"id":"a*"}`, "", 400, false},
		{"no JSON", nil, `id=3`, "", 400, false},
	} {
		f := &fakeStores{fails: c.fails}
		code, said := post(serviceOf(t, f), c.body, "Idempotency-Key", c.key)
		if found, there := said["committed"]; code != c.code || found != c.said || !there {
			t.Errorf("%s: %d %v", c.name, code, said)
		}
		if (c.code == 400 || c.code == 409) && len(f.steps) > 0 {
			t.Errorf("%s: %v", c.name, f.steps)
		}
	}
}

func TestWithoutAStoreNothingIsWritten(t *testing.T) {
	o := &orders{newService(demo, time.Now), &stores{}}
	if code, said := post(o, `{"id":"a"}`); code != 503 || said["committed"] != false {
		t.Fatal(code, said)
	}
}

func status(o *orders, path string) int {
	answer := httptest.NewRecorder()
	o.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code
}

func TestHealthFollowsTheStoresAndReadinessDoesNot(t *testing.T) {
	f := &fakeStores{fails: map[string]error{"takesWrites": errors.New("read-only")}}
	o := serviceOf(t, f)
	o.stores.unwritable = o.stores.ask(context.Background())
	if status(o, "/healthz") != 503 || status(o, "/readyz") != 200 || status(o, "/") != 200 {
		t.Fatal(o.stores.sick())
	}
	f.fails = nil
	o.stores.unwritable = o.stores.ask(context.Background())
	if status(o, "/healthz") != 200 {
		t.Fatal(o.stores.sick())
	}
	o.state.Store(draining)
	if status(o, "/healthz") != 503 || status(o, "/readyz") != 503 {
		t.Fatal("a draining pod is not ready")
	}
}

func TestAddressesAreFollowed(t *testing.T) {
	folder := t.TempDir()
	write := func(key, text string) {
		if err := os.WriteFile(filepath.Join(folder, key), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opened := []string{}
	s := &stores{
		folder: folder,
		openDB: func(a string) (database, func(), error) {
			opened = append(opened, a)
			return &fakeStores{}, func() {}, nil
		},
		openCache: func(a string) (cache, func(), error) {
			opened = append(opened, a)
			return &fakeStores{}, func() {}, nil
		},
	}
	if s.follow() == nil {
		t.Fatal("no address is no error")
	}
	write("orders-db", "a:1\n")
	write("orders-cache", "a:2")
	for range 2 {
		if err := s.follow(); err != nil {
			t.Fatal(err)
		}
	}
	before, _, _ := s.current()
	write("orders-db", "b:1")
	if err := s.follow(); err != nil {
		t.Fatal(err)
	}
	after, _, _ := s.current()
	if !slices.Equal(opened, []string{"a:1", "a:2", "b:1"}) || before == after || s.at() != "b:1" {
		t.Fatal(opened)
	}
	write("orders-db", "")
	if s.follow() == nil || s.at() != "b:1" {
		t.Fatal("an empty file is no address")
	}
}
