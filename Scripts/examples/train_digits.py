#!/usr/bin/env python3
"""Trains a classifier on scikit-learn's digits and streams what every step measures.

A small neural network learns by mini-batches with a learning rate that falls along a cosine. Loss,
accuracy and learning rate of each step go to Needletail while the training runs. The server may
stop and start again meanwhile: points wait on disk and follow, each stored once.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SDKs" / "python" / "src"))

import needletail  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.metrics import log_loss  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

BATCH_SIZE = 64
CLASSES = np.arange(10)
MAX_PIXEL = 16.0
REPORT_STEPS = 50


def main() -> int:
    """Runs the example; 0 when every point was acknowledged."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    connection = arguments.connection_file or newest_connection_file()
    if connection:
        os.environ["NEEDLETAIL_CONNECTION_FILE"] = connection
    try:
        with needletail.run(
            project=arguments.project, experiment="digits", name=arguments.name
        ) as run:
            print(f"run {run.id or '(created once the server is there)'}", flush=True)
            train(run, arguments)
    except needletail.NeedletailError as error:
        print(f"cannot start the run: {error}", file=sys.stderr)
        return 1
    summary = run.finish()
    print(f"{summary.acknowledged_points} points acknowledged, {summary.unsent_points} unsent")
    return 0 if summary.unsent_points == 0 else 1


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--connection-file", help="how to connect, as written by Scripts/run or `needletail up`"
    )
    parser.add_argument("--steps", type=int, default=600, help="mini-batches; default %(default)s")
    parser.add_argument("--epochs", type=int, help="passes over the data instead of --steps")
    parser.add_argument(
        "--step-seconds",
        type=float,
        default=0.05,
        help="least time of a step, so that there is something to watch; default %(default)s",
    )
    parser.add_argument("--learning-rate", type=float, default=0.01, help="at the start")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--project", help="UUID, slug or name; default: the connection file's")
    parser.add_argument("--name", default="", help="of the run")
    return parser.parse_args()


def newest_connection_file() -> str | None:
    """The file that Scripts/run wrote last; None when the environment says how to connect."""
    if os.environ.get("NEEDLETAIL_CONNECTION_FILE") or os.environ.get("NEEDLETAIL_URL"):
        return None
    pointer = ROOT / ".needletail" / "last-connection-file"
    return pointer.read_text().strip() if pointer.exists() else None


def train(run: needletail.ActiveRun, arguments: argparse.Namespace) -> None:
    """Trains by mini-batches and logs every step."""
    digits = load_digits()
    images = digits.data / MAX_PIXEL
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=0.2, random_state=arguments.seed, stratify=digits.target
    )
    steps = arguments.steps
    if arguments.epochs is not None:
        steps = arguments.epochs * math.ceil(len(train_x) / BATCH_SIZE)
    chance = np.random.default_rng(arguments.seed)
    model = MLPClassifier(
        hidden_layer_sizes=(64,),
        solver="sgd",
        learning_rate_init=arguments.learning_rate,
        momentum=0.9,
        random_state=arguments.seed,
    )
    order = chance.permutation(len(train_x))
    position = 0
    for step in range(steps):
        started = time.perf_counter()
        if position + BATCH_SIZE > len(order):
            order, position = chance.permutation(len(train_x)), 0
        chosen = order[position : position + BATCH_SIZE]
        position += BATCH_SIZE
        rate = arguments.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        set_learning_rate(model, rate)
        model.partial_fit(train_x[chosen], train_y[chosen], classes=CLASSES)
        loss = log_loss(train_y[chosen], model.predict_proba(train_x[chosen]), labels=CLASSES)
        accuracy = model.score(test_x, test_y)
        run.log({"loss": loss, "accuracy": accuracy, "learning_rate": rate}, step=step)
        if step % REPORT_STEPS == 0 or step == steps - 1:
            print(f"step {step:5}  loss {loss:.4f}  accuracy {accuracy:.3f}", flush=True)
        time.sleep(max(0.0, arguments.step_seconds - (time.perf_counter() - started)))


def set_learning_rate(model: MLPClassifier, rate: float) -> None:
    """Sets the rate of the next mini-batch; the optimizer exists from the second one on."""
    model.learning_rate_init = rate
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is not None:
        optimizer.learning_rate = optimizer.learning_rate_init = rate


if __name__ == "__main__":
    sys.exit(main())
