"""Words of every script, and telling languages apart as far as that is promised."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.languages import LANGUAGES, LanguageCode, words, written_in

SENTENCES: dict[LanguageCode, str] = {
    "en": "What is the capital of Italy, and how old is it?",
    "ar": "ما هي عاصمة إيطاليا؟",
    "bn": "ইতালির রাজধানী কী?",
    "cs": "Jaké je hlavní město Itálie a jak je staré?",
    "de": "Wie heißt die Hauptstadt von Italien, und wie alt ist sie?",
    "el": "Ποια είναι η πρωτεύουσα της Ιταλίας;",
    "es": "¿Cuál es la capital de Italia y cuántos años tiene?",
    "fa": "پایتخت ایتالیا کجاست؟",
    "fr": "Quelle est la capitale de l'Italie ?",
    "he": "מהי בירת איטליה?",
    "hi": "इटली की राजधानी क्या है?",
    "id": "Apa ibu kota Italia dan berapa usianya?",
    "it": "Qual è la capitale dell'Italia e quanto è antica?",
    "ja": "イタリアの首都はどこですか？",
    "ko": "이탈리아의 수도는 어디입니까?",
    "nl": "Wat is de hoofdstad van Italië en hoe oud is die?",
    "pl": "Jak nazywa się stolica Włoch i ile ma lat?",
    "pt": "Qual é a capital da Itália e quantos anos tem?",
    "ru": "Как называется столица Италии?",
    "sv": "Vad heter Italiens huvudstad och hur gammal är den?",
    "th": "เมืองหลวงของอิตาลีคืออะไร",
    "tr": "İtalya'nın başkenti neresidir ve ne kadar eskidir?",
    "uk": "Як називається столиця Італії?",
    "vi": "Thủ đô của nước Ý là gì?",
    "zh": "意大利的首都是哪里？",
}


def test_all_languages_are_described_and_tested() -> None:
    assert set(get_args(LanguageCode)) == {*LANGUAGES, "en", "any"} == {*SENTENCES, "any"}


@pytest.mark.parametrize("language", SENTENCES)
def test_each_language_takes_its_own_and_refuses_english(language: LanguageCode) -> None:
    assert written_in(SENTENCES[language], language)
    assert written_in(SENTENCES[language], "any")
    assert language == "en" or not written_in(SENTENCES["en"], language)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("zh", "请解释 Transformer 和 GPT 的区别", True),
        ("zh", "Explain the word 中文", False),
        ("de", "Nenne drei Früchte", True),
        ("de", "123 456", False),
        ("ja", "東京", True),
    ],
)
def test_foreign_words_and_little_text(language: LanguageCode, text: str, expected: bool) -> None:
    assert written_in(text, language) is expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Don't say naïve 3D-things!", ["don", "t", "say", "na", "ve", "3d", "things"]),
        ("any", "Größe_und 3D-Drucker", ["größe", "und", "3d", "drucker"]),
        ("de", "A\u0308pfel", ["äpfel"]),
        ("zh", "第3章：GPT好吗？", ["第", "3", "章", "gpt", "好", "吗"]),
        ("hi", "हिन्दी में लिखें", ["हिन्दी", "में", "लिखें"]),
        ("ar", "اكتب، من فضلك", ["اكتب", "من", "فضلك"]),
        ("ko", "시를 써 주세요", ["시를", "써", "주세요"]),
        ("any", "— … 🙂", []),
    ],
)
def test_words(language: LanguageCode, text: str, expected: list[str]) -> None:
    assert words(text, language) == expected


@given(st.text(), st.sampled_from(get_args(LanguageCode)))
def test_any_text_at_all(text: str, language: LanguageCode) -> None:
    assert all(words(text, language))
    assert written_in(text, language) in (True, False)
