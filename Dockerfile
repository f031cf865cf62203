# The images of the tracker and of the operator, as targets:
#
#   docker build --target tracker --tag torrust-tracker .
#   docker build --target operator --tag torrust-operator .
#
# `make images` builds both with what the checkout has installed, and needs no network but for the base. Nothing that runs
# in the last stage of a target needs a shell, and nothing runs there while it is built: an image for another platform
# needs no emulation.

# The base of the images, for all platforms: the official image of Node.js 24. The release workflow takes what that is on
# its day, by the digest that it has then.
ARG NODE_IMAGE=docker.io/library/node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d

# The packages that compile, for the machine that builds. A build context can stand in for `tools`.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS installed-tools
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --include=dev
FROM scratch AS tools
COPY --from=installed-tools /packages/node_modules /

# The packages that run, for the platform of the image. A build context can stand in for `packages`.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS installed-packages
ARG TARGETARCH
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev --os=linux --libc=glibc \
  --cpu="$(if [ "$TARGETARCH" = amd64 ]; then echo x64; else echo "$TARGETARCH"; fi)"
FROM scratch AS packages
COPY --from=installed-packages /packages/node_modules /

# What the images hold beside their base: compiled files and the packages that they import.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS files
ARG TARGETARCH
WORKDIR /source
COPY . .
RUN --mount=type=bind,from=tools,target=/source/node_modules \
  --mount=type=bind,from=packages,target=/packages/node_modules \
  ["node", ".ci/image/assemble.ts", "/packages", "/image"]

FROM ${NODE_IMAGE} AS tracker
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Torrust Tracker for Kubernetes" \
  org.opencontainers.image.description="A BitTorrent tracker compatible with Torrust Tracker" \
  org.opencontainers.image.source="https://github.com/torrust/torrust-tracker-kubernetes" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
COPY --from=files /image/tracker /opt/torrust-tracker
# Torrust's folders. They belong to the image's user, and to the group that containers with another user run in.
COPY --from=files --chown=65532:0 /image/folders /etc/torrust
COPY --from=files --chown=65532:0 /image/folders /var/lib/torrust
COPY --from=files --chown=65532:0 /image/folders /var/log/torrust
ENV NODE_ENV=production \
  PATH=/opt/torrust-tracker/bin:$PATH \
  TORRUST_TRACKER_CONFIG_TOML_PATH=/etc/torrust/tracker/tracker.toml
WORKDIR /var/lib/torrust/tracker
VOLUME /etc/torrust/tracker /var/lib/torrust/tracker /var/log/torrust/tracker
EXPOSE 6969/udp 7070/tcp 1212/tcp 1313/tcp 1314/tcp
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "/opt/torrust-tracker/tracker/cli/torrust-tracker.js", "health"]
# Half of a container's memory is for the swarms, which are no part of the heap.
ENTRYPOINT ["node", "--max-old-space-size-percentage=25", "/opt/torrust-tracker/tracker/cli/torrust-tracker.js"]
CMD ["run", "--generate", "container"]

FROM ${NODE_IMAGE} AS operator
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Torrust Tracker Operator" \
  org.opencontainers.image.description="Runs BitTorrent trackers in Kubernetes" \
  org.opencontainers.image.source="https://github.com/torrust/torrust-tracker-kubernetes" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
COPY --from=files /image/operator /opt/torrust-operator
ENV NODE_ENV=production PATH=/opt/torrust-operator/bin:$PATH
EXPOSE 8080/tcp
USER 65532:65532
# For whoever runs it without Kubernetes, whose kubelet asks the same, and takes no notice of this.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "--eval", "fetch('http://127.0.0.1:8080/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-old-space-size-percentage=65", "/opt/torrust-operator/operator/cli/torrust-operator.js"]
CMD ["run"]
