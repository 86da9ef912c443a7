# The image of sakila-sync. By default the program is built here; --build-arg PROGRAM=prebuilt copies the one that
# scripts/release has built.
ARG PROGRAM=build

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
ARG SAKILA_SYNC_BUILD_VERSION
COPY . .
# The cached target folder exists only during this step, so the step copies the program out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --features lake --bin sakila-sync \
    && install -D target/release/sakila-sync /out/sakila-sync \
    && install -d /out/data

FROM scratch AS prebuilt
COPY target/package/image /out

FROM ${PROGRAM} AS program

# Contains glibc and libgcc of the Debian version that the program was built on, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="sakila-sync" \
      org.opencontainers.image.description="Keeps a SQLite star schema in sync with a MySQL Sakila" \
      org.opencontainers.image.licenses="MIT"
COPY --from=program /out/sakila-sync /usr/local/bin/sakila-sync
COPY --from=program --chown=65532:65532 /out/data /data
# SQLite sorts large indexes in temporary files. They are on the data volume, because /tmp may be in memory.
ENV SAKILA_SYNC_TARGET=/data/analytics.db \
    SQLITE_TMPDIR=/data
USER 65532:65532
WORKDIR /data
VOLUME ["/data"]
EXPOSE 9187
ENTRYPOINT ["/usr/local/bin/sakila-sync"]
