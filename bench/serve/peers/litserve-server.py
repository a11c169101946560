# A model a task, as `flexbert export transformers` writes them, behind litserve: every model that takes a text is asked of it, in batches.
#
#   python bench/serve/peers/litserve-server.py FOLDER TASKS.json PORT THREADS       FOLDER/TASK of the export; TASKS.json: [{"name", "inputs", "kind"}]
import json
import sys

import litserve
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, tasks_file, port, threads = sys.argv[1:]
with open(tasks_file) as file:
    TASKS = json.load(file)


class Tasks(litserve.LitAPI):
    def setup(self, device):
        torch.set_num_threads(int(threads))
        self.tokenizer = AutoTokenizer.from_pretrained(f"{folder}/{TASKS[0]['name']}")
        self.models = {
            task["name"]: AutoModelForSequenceClassification.from_pretrained(f"{folder}/{task['name']}").eval()
            for task in TASKS
        }

    def decode_request(self, request):
        return request["text"], request.get("pair")

    def batch(self, inputs):
        return inputs

    def predict(self, rows):
        answers = [{} for _ in rows]
        with torch.inference_mode():
            for inputs in ("single", "pair"):
                own = [i for i, (_, pair) in enumerate(rows) if (pair is None) == (inputs == "single")]
                if not own:
                    continue
                pairs = None if inputs == "single" else [rows[i][1] for i in own]
                texts = [rows[i][0] for i in own]
                encoded = self.tokenizer(texts, pairs, truncation=True, max_length=128, padding=True, return_tensors="pt")
                for task in TASKS:
                    if task["inputs"] != inputs:
                        continue
                    model = self.models[task["name"]]
                    logits = model(**encoded).logits
                    for i, row in zip(own, logits):
                        answers[i][task["name"]] = prediction(task, model, row)
        return answers

    def unbatch(self, answers):
        return answers

    def encode_response(self, predictions):
        return {"predictions": predictions}


def prediction(task, model, logits):
    if task["kind"] == "regression":
        return {"value": logits[0].item()}
    scores = torch.softmax(logits, -1)
    best = int(scores.argmax())
    return {"label": model.config.id2label[best], "score": scores[best].item()}


if __name__ == "__main__":
    api = Tasks(max_batch_size=32, batch_timeout=0.005, api_path="/v1/predict")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60).run(
        host="127.0.0.1", port=int(port), generate_client_file=False
    )
