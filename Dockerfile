# blackstart in a container: what drills start in clusters (`guardian: {image: ...}` in fleet.yaml), and for CI.
FROM python:3.13-slim AS build
COPY . /src
RUN python -m venv /opt/blackstart && /opt/blackstart/bin/pip install --no-cache-dir --no-compile /src \
 && /opt/blackstart/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/blackstart

FROM python:3.13-slim
COPY --from=build /opt/blackstart /opt/blackstart
ENV PATH=/opt/blackstart/bin:$PATH PYTHONUNBUFFERED=1
# Numeric, so that Kubernetes can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["blackstart"]
