# docker build -t panprior .
# docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" panprior PAN.tif MS.tif OUT.tif
FROM python:3.11-slim-bookworm
# Of torch the build for CPUs, a tenth of the others; cu130 for GPUs.
ARG TORCH_BACKEND=cpu
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY shards /src/shards
COPY simgen /src/simgen
COPY fusiontrain /src/fusiontrain
RUN pip install --no-cache-dir "uv==0.13.9" \
    && uv venv /opt/panprior \
    && uv pip install --no-cache --python /opt/panprior/bin/python --constraint /src/constraints.txt \
        ${TORCH_BACKEND:+"--torch-backend=$TORCH_BACKEND"} /src \
    && rm -r /src
ENV HOME=/tmp
WORKDIR /data
USER 10001
ENTRYPOINT ["/opt/panprior/bin/fusiontrain", "fuse"]
