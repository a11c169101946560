"""Unpacks what pack.mjs made, with Python's standard library alone.

python3 bench/gpu/unpack.py PIECES FOLDER [runtime] [code] [data]

PIECES holds flexbert-gpu-runtime.tar.xz.json, .000, .001, ... and the same of -code, and where pack.mjs was given a base of -data.
FOLDER becomes the package, and runs as FOLDER/node/bin/node FOLDER/bin/flexbert.js. Without names runtime and code are unpacked. An
archive that FOLDER has already, by its sha256, is left as it is: its pieces need not be there. The last step makes the CUDA provider's device code again, which takes seconds on 16 cores.
"""
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import time


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            found.update(chunk)
    return found.hexdigest()


class Joined(io.RawIOBase):
    """The pieces as one file to read."""

    def __init__(self, paths):
        self.paths, self.file = list(paths), None

    def readable(self):
        return True

    def readinto(self, buffer):
        while True:
            if self.file is None:
                if not self.paths:
                    return 0
                self.file = open(self.paths.pop(0), "rb")
            count = self.file.readinto(buffer)
            if count:
                return count
            self.file.close()
            self.file = None


def wrong_pieces(pieces, folder):
    for piece in pieces:
        path = os.path.join(folder, piece["name"])
        if not os.path.exists(path):
            yield piece["name"] + " is missing"
        elif digest(path) != piece["sha256"]:
            yield piece["name"] + " is damaged"


def unpack(archive, pieces, folder):
    """Returns what is wrong, as lines."""
    name = "flexbert-gpu-%s.tar.xz" % archive
    described = os.path.join(pieces, name + ".json")
    if not os.path.exists(described):
        return [name + ".json is missing"]
    with open(described) as file:
        manifest = json.load(file)
    done = os.path.join(folder, ".unpacked-" + archive)
    if os.path.exists(done) and open(done).read() == manifest["sha256"]:
        print(archive, "is there already")
        return []
    wrong = list(wrong_pieces(manifest["pieces"], pieces))
    if wrong:
        return wrong
    start = time.time()
    paths = [os.path.join(pieces, piece["name"]) for piece in manifest["pieces"]]
    with lzma.open(io.BufferedReader(Joined(paths), 1 << 20)) as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
    with open(done, "w") as file:
        file.write(manifest["sha256"])
    print("%s: %d MB unpacked in %.0f s" % (archive, manifest["bytes"] / 1e6, time.time() - start))
    return []


def put_cubins(folder):
    """Once: cubins.mjs takes them out of the library's place, and what it read is then of no use."""
    taken = os.path.join(folder, "cuda", "cubins")
    script = os.path.join(folder, "bench", "gpu", "cubins.mjs")
    if not os.path.isdir(taken):
        return []
    if not os.path.exists(script):
        return ["the code's archive is not unpacked, which the CUDA provider's last step needs"]
    start = time.time()
    library = os.path.join(folder, "cuda", "libonnxruntime_providers_cuda.so")
    node = os.path.join(folder, "node", "bin", "node")
    if subprocess.call([node, script, "put", library, taken]) != 0:
        return ["the CUDA provider's device code was not made again"]
    for name in os.listdir(taken):
        os.remove(os.path.join(taken, name))
    os.rmdir(taken)
    print("the CUDA provider is whole after %.0f s" % (time.time() - start))
    return []


def main():
    if len(sys.argv) < 3 or "--help" in sys.argv:
        sys.exit(__doc__.strip())
    pieces, folder, *archives = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    wrong = []
    for archive in archives or ["runtime", "code"]:
        wrong += unpack(archive, pieces, folder)
    if not wrong and archives != ["data"]:
        wrong += put_cubins(folder)
    if wrong:
        sys.exit("\n".join(wrong))


main()
