#!/usr/bin/env bash
# torch 2.13.0: an exported ensemble holds what two members have in common once, under the first one's name.
#
# Guess: every parameter and buffer of a network is an initializer of the file under its own name, as in its state_dict.
# Seen: of two buffers with equal values the second has none; the first stands for both, and nothing says so. The answers
# are right, but whoever reads weights back by name does not find all of a member's.
# So weights are looked up under the first member's name where their own is not there (trainer/adapt/parent.py).
# Exit 0: still so. Exit 1: changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
"$place/env/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
cd "$place"
"$place/env/bin/python" - 2> /dev/null <<'PY'
import torch


class Member(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = torch.nn.Linear(64, 64)
        self.register_buffer("mean", torch.linspace(0, 1, 64))

    def forward(self, x):
        return self.layer(x) * self.mean


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.members = torch.nn.ModuleList([Member(0), Member(1)])

    def forward(self, x):
        return sum(member(x) for member in self.members)


network = Both().eval()
program = torch.onnx.export(network, (torch.zeros(1, 64),), dynamo=True, verbose=False)
names = {one.name for one in program.model_proto.graph.initializer}
missing = sorted(set(network.state_dict()) - names)
print("torch", torch.__version__, "| in the file:", sorted(names), "| not in the file:", missing)
raise SystemExit(missing != ["members.1.mean"])
PY
