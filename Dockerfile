FROM node:24-bookworm-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package's script runs, here or later. Types and maps are for the compiler and for debuggers.
RUN npm ci --omit=dev --ignore-scripts \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' \) -delete


FROM node:24-bookworm-slim

# The service needs neither a package manager nor a shell's worth of tools to fetch things with.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*

WORKDIR /app
# Owned by root and not writable by the user that runs it.
COPY --from=modules /app/node_modules ./node_modules
COPY LICENSE package.json ./
COPY src ./src

# A start without settings ends at once (78), and leaves what Node made of the sources: later starts read that.
# Node keeps it by user, so it is made as the one that will run; from then on it is root's like all else.
RUN install -d -o 1000 node_modules/.cache/compiled
USER 1000:1000
RUN node src/start.js > /dev/null; test $? -eq 78
# What it loads later, or not always.
RUN node --input-type=module -e "import { enableCompileCache } from 'node:module'; \
      enableCompileCache('node_modules/.cache/compiled'); \
      await import('undici'); await import('./src/redis/redis-link.ts')"
USER 0:0
RUN chown -R 0:0 node_modules/.cache && chmod -R a+rX node_modules/.cache

# glibc keeps memory apart for every thread, and gives little of it back: two such places will do.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080

# Whether the process turns, wherever operations answer; asks neither Redis nor the upstream.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["node", "-e", \
  "const { HOST, PORT, OPS_PORT } = process.env; const host = /^(0\\.0\\.0\\.0|::)?$/.test(HOST ?? '') ? '127.0.0.1' : HOST; require('node:http').get({ host, port: OPS_PORT || PORT || 8080, path: '/health/live' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]

# Directly, without npm or a shell between: SIGTERM reaches the service.
CMD ["node", "src/start.js"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="token-broker" \
      org.opencontainers.image.description="Hands each of your customers a short-lived Airbyte Embedded token, and keeps the organisation's own on the server" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
