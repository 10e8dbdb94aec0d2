# The gateway as a container: docker build -t modelgate . && docker run -p 8080:8080 -v modelgate:/app/data modelgate
#
# Debian 13 (trixie) has glibc 2.41, which the newer build of uWebSockets.js needs (2.38) and Debian 12 lacks.
# Not an Alpine image: neither build runs on musl.
ARG NODE_IMAGE=node:24-trixie-slim

# ── compile ──
FROM ${NODE_IMAGE} AS build
WORKDIR /app
# The lock file alone decides what is installed; .npmrc forbids install scripts.
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN npx tsc -p .

# ── what runs in production, for this platform only ──
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# onnxruntime-node carries the binaries of five platforms (290 MB); one of them (25 to 45 MB) can run here.
RUN npm ci --omit=dev \
 && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
      ! -path "*/linux/$(node -p process.arch)" -exec rm -rf {} + \
 && find node_modules/onnxruntime-node/bin -type d -empty -delete

# ── the image ──
FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/build/src ./build/src
COPY package.json gateway.toml LICENSE NOTICE ./
COPY config ./config
COPY models ./models

# A container is reached from outside, so inference listens on every address here. The admin API keeps to
# loopback: it is reached from inside (docker exec), until a configuration of your own gives it tokens.
# Mount your own configuration over /app/gateway.toml; this one is then not used.
RUN sed -i 's/^listen\( *= *\)"127\.0\.0\.1:/listen\1"0.0.0.0:/' gateway.toml \
 && grep -q '^listen *= *"0\.0\.0\.0:8080"' gateway.toml \
 && grep -q '^admin *= *"127\.0\.0\.1:9090"' gateway.toml \
 && node build/src/main.js check gateway.toml \
 && install -d -o node -g node data

# The decision records. Everything else in the image is read-only to the gateway.
VOLUME /app/data
USER node
EXPOSE 8080

# With another admin port in the configuration, set HEALTH_URL too.
ENV HEALTH_URL=http://127.0.0.1:9090/healthz
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# SIGTERM drains: no new requests, those in flight end, records are synced, then exit.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "build/src/main.js"]
CMD ["serve", "--config", "gateway.toml"]
