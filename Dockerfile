FROM python:3.11-slim

# Only TMPDIR is written to at run time: the root may be read-only, with a tmpfs at /tmp.
# With "localhost" as the browser's address Streamlit does not look up its own on the internet.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    CNNVIZ_CACHE=/converted \
    CNNVIZ_MODELS=/models \
    CNNVIZ_UPLOADS=off \
    CNNVIZ_TRAINING=off \
    STREAMLIT_BROWSER_SERVER_ADDRESS=localhost \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_HEADLESS=true \
    STREAMLIT_SERVER_PORT=8501

WORKDIR /app

# The libraries change rarely: this layer stays valid when the code changes. The C++ headers and
# libclang are only needed to compile TensorFlow operations, and take 350 MB; LiteRT's tools and its
# drivers for other processors take 30 MB.
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt \
    && pip uninstall --yes libclang \
    && packages="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && rm -r "$packages/tensorflow/include" \
        "$packages/ai_edge_litert/libLiteRtWebGpuAccelerator.so" \
        "$packages/ai_edge_litert/tools" \
        "$packages/ai_edge_litert/vendors"

COPY models/ /models/
# Where trainings that start from it find it, whatever is mounted at /models.
COPY models/imagenet_efficientnet_lite0.keras models/imagenet_efficientnet_lite0.json models/
COPY .streamlit/ .streamlit/
COPY app.py ./
COPY pages/ pages/
COPY cnnviz/ cnnviz/
RUN python -m compileall -q app.py pages cnnviz
# So that the server answers about the models of cnnviz without TensorFlow. Read only at run time, by
# any user: a folder that `convert` makes is for the one who runs it alone.
RUN mkdir -m 755 /converted && python -m cnnviz convert && rm -rf /tmp/.keras

USER 65534:65534
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['STREAMLIT_SERVER_PORT']}/_stcore/health\", timeout=4)"]
CMD ["python", "-m", "cnnviz.ui"]
