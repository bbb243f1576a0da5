module blackstart.dev/lab/app

go 1.24
