# One image for every process: `docker run tributary run order-api`. Built in stages, run without root.
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY . .
RUN node ops/build.mjs && npm prune --omit=dev --no-audit --no-fund --loglevel=error

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY ops/containers/ready.mjs ./
# Embedded engines, for `docker run` without servers: mount a volume here.
ENV DATA_DIR=/data
RUN mkdir /data && chown 1000:1000 /data
USER 1000:1000
ENTRYPOINT ["node", "dist/main.js"]
CMD ["run", "all"]
