"""All that a page tells of one run, put together."""

from __future__ import annotations

import paddle

from ppcds.datasets.build import build_eval_split, build_probe_splits
from ppcds.engine.answers import Answers, ask
from ppcds.engine.deployed import load_deployed
from ppcds.engine.knn import NEIGHBOURS
from ppcds.engine.unreadable import Unreadable
from ppcds.report.page.attention import describe_attention
from ppcds.report.page.classification import describe_classification
from ppcds.report.page.curves import curve_charts
from ppcds.report.page.embeddings import MOST_IMAGES, embedding_charts
from ppcds.report.page.errors import describe_errors
from ppcds.report.page.recipe import describe_recipe
from ppcds.report.run_record import RunRecord
from ppcds.report.run_result import count_parameters


def answers_of(run: RunRecord, split_name: str) -> tuple[paddle.nn.Layer, Answers]:
    """The run's network, and what it says of a split. Raises UserError for what is wrong with either."""
    split = build_eval_split(run.recipe, split_name)
    train, _ = build_probe_splits(run.recipe)
    network = load_deployed(run.recipe, len(split.classes), run.weights)
    answers = ask(network, split, train, run.recipe)
    unreadable = Unreadable(split, train)
    unreadable.tell(run.remarks.append)
    unreadable.count(run.remarks.append)
    return network, answers


def describe_run(run: RunRecord, network: paddle.nn.Layer, answers: Answers) -> dict:
    """What the template run.html fills in."""
    seed = run.recipe.run.seed
    return {
        "record": run,
        "answers": answers,
        "neighbours": min(NEIGHBOURS, len(answers.bank)),
        "last_epoch": int(run.metrics["epoch"].iloc[-1]),
        "parameters": count_parameters(run.weights),
        "recipe": {**describe_recipe(run.recipe), "method": run.recipe.method.name},
        "curves": curve_charts(run),
        "classification": describe_classification(answers),
        "errors": describe_errors(answers),
        "embeddings": embedding_charts(network, answers, run.recipe),
        "embedded": min(MOST_IMAGES, len(answers.split)),
        "attention": describe_attention(network, answers, seed),
    }
