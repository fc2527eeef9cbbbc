# docker build -t panprior .
# docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" panprior PAN.tif MS.tif OUT.tif
# docker build --target simgen --build-arg EXTRAS=[simgen] -t panprior-simgen .     (engines/)
FROM python:3.11-slim-bookworm AS base
# Of torch the build for CPUs, a tenth of the others; cu130 for GPUs.
ARG TORCH_BACKEND=cpu
ARG EXTRAS=
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY shards /src/shards
COPY simgen /src/simgen
COPY fusiontrain /src/fusiontrain
RUN pip install --no-cache-dir "uv==0.13.9" \
    && uv venv /opt/panprior \
    && uv pip install --no-cache --python /opt/panprior/bin/python --constraint /src/constraints.txt \
        ${TORCH_BACKEND:+"--torch-backend=$TORCH_BACKEND"} "/src$EXTRAS" \
    && rm -r /src
ENV HOME=/tmp
WORKDIR /data
USER 10001

FROM base AS simgen
ENTRYPOINT ["/opt/panprior/bin/simgen"]

FROM base AS fuse
ENTRYPOINT ["/opt/panprior/bin/fusiontrain", "fuse"]
