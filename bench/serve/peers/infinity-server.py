# A model a task behind infinity-emb's engines, each with its own batching: every model that takes a text is asked of it. Its classification takes
# no pairs of texts. The same address as the other servers, so that one client asks them all.
#
#   python bench/serve/peers/infinity-server.py FOLDER TASKS.json PORT THREADS       as litserve-server.py
import asyncio
import json
import sys

# Where TensorFlow is installed too, its LLVM and PyTorch's end the process.
sys.modules["tensorflow"] = None

import torch
import uvicorn
from fastapi import FastAPI
from infinity_emb import AsyncEngineArray, EngineArgs

folder, tasks_file, port, threads = sys.argv[1:]
with open(tasks_file) as file:
    TASKS = [task for task in json.load(file) if task["inputs"] == "single"]

torch.set_num_threads(int(threads))
engines = AsyncEngineArray.from_args(
    [
        EngineArgs(
            model_name_or_path=f"{folder}/{task['name']}",
            served_model_name=task["name"],
            engine="torch",
            device="cpu",
            bettertransformer=False,
            model_warmup=False,
        )
        for task in TASKS
    ]
)
app = FastAPI(on_startup=[engines.astart], on_shutdown=[engines.astop])


@app.get("/health")
def health():
    return {}


@app.post("/v1/predict")
async def predict(body: dict):
    found = await asyncio.gather(*(engines[task["name"]].classify(sentences=[body["text"]], raw_scores=False) for task in TASKS))
    best = [max(classes[0], key=lambda one: one["score"]) for classes, _ in found]
    return {"predictions": {task["name"]: {"label": one["label"], "score": one["score"]} for task, one in zip(TASKS, best)}}


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")
