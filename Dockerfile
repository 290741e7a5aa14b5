# syntax=docker/dockerfile:1

# A tag can be moved, a digest cannot. To pin the digest, too, append it to the tag. This command prints it:
#   docker buildx imagetools inspect python:3.13.11-slim-trixie --format '{{.Manifest.Digest}}'
ARG BASE=python:3.13.11-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY server server
COPY tools tools
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock \
    && /opt/venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/venv/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
LABEL org.opencontainers.image.title="gitbook-integrations-mcp" \
      org.opencontainers.image.description="GitBook's Integrations API for AI assistants, over MCP." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13.11-slim-trixie"
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GITBOOK_MCP_SERVER__TRANSPORT=streamable-http,sse \
    GITBOOK_MCP_HTTP__HOST=0.0.0.0 \
    XDG_CACHE_HOME=/opt/cache \
    XDG_STATE_HOME=/tmp/state
# The first answers over stdio, for `docker run --interactive … --transport stdio`: see docs/concepts/start.md.
RUN python -m gitbook_integrations_mcp.cli.answers --transport stdio \
    && chmod -R a+rX /opt/cache
USER 10001:10001
EXPOSE 8000
# It reads the settings, so it follows host, port and transport.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-m", "gitbook_integrations_mcp.cli.healthcheck"]
ENTRYPOINT ["gitbook-integrations-mcp"]
CMD ["serve"]
