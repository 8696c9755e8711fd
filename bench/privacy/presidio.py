"""Presidio's analyzer on a spaCy pipeline without a model: its patterns and checksums, and no named entities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

if TYPE_CHECKING:
    from collections.abc import Callable

LANGUAGE = "en"


class _BlankPipeline(SpacyNlpEngine):  # type: ignore[misc]
    """spaCy's tokenizer alone."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": LANGUAGE, "model_name": "blank"}])
        self.nlp = {LANGUAGE: spacy.blank(LANGUAGE)}

    def load(self) -> None:
        """Nothing to load: the pipeline is made above."""


def analyzer() -> Callable[[str], int]:
    """A function that analyzes a text and returns the number of findings."""
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # the list in the package: no network
    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    registry.load_predefined_recognizers(languages=[LANGUAGE])
    registry.remove_recognizer("SpacyRecognizer")  # it reports entities of a model, and there is none
    engine = AnalyzerEngine(registry=registry, nlp_engine=_BlankPipeline(), supported_languages=[LANGUAGE])
    return lambda text: len(engine.analyze(text=text, language=LANGUAGE))
