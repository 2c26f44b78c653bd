"""What the language of prompts changes: how a text is split into words, what it is recognised by, how its parts are
labelled ("Task 10:", "Answer:").

A language is recognised by its script; one in Latin script is told from English by its commonest words. Languages that
share another script (Russian and Ukrainian) are not told apart.
"""

# ruff: noqa: RUF001 (letters of other alphabets are what this file is about)

import re
import unicodedata
from typing import Literal, NamedTuple

LanguageCode = Literal[
    "en", "any", "ar", "bn", "cs", "de", "el", "es", "fa", "fr", "he", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt",
    "ru", "sv", "th", "tr", "uk", "vi", "zh",
]  # fmt: skip


class Language(NamedTuple):
    """Lists are written with ``|``, so that they can stand in a pattern."""

    scripts: str
    """How the Unicode names of its letters begin."""
    task: str
    """Labels of a task."""
    answer: str
    """Labels of what is no task: an answer, a hint, an example."""
    common: str = ""
    """Its commonest words, for Latin script alone."""


_ENGLISH = "the|of|and|to|a|an|in|is|are|for|with|that|this|what|how|your|you|it|about|on|from|as|write|can"

LANGUAGES: dict[str, Language] = {
    "ar": Language(
        "ARABIC", "المهمة|مهمة|السؤال|سؤال|التعليمات", "الإجابة|إجابة|الجواب|الحل|الرد|ملاحظة|تلميح|مثال|شرح"
    ),
    "bn": Language("BENGALI", "কাজ|প্রশ্ন|নির্দেশ|নির্দেশনা", "উত্তর|সমাধান|উদাহরণ|ব্যাখ্যা|ইঙ্গিত"),
    "cs": Language(
        "LATIN",
        "úkol|otázka|zadání|pokyn",
        "odpověď|řešení|výsledek|příklad|poznámka|vysvětlení|nápověda",
        "a|v|ve|na|je|se|si|o|z|s|k|do|co|jak|jaké|jaký|pro|že|které|napiš|napište",
    ),
    "de": Language(
        "LATIN",
        "aufgabe|anweisung|frage|nutzer|nutzerin|benutzer",
        "antwort|musterantwort|lösung|ausgabe|ergebnis|erklärung|erläuterung|hinweis|tipp|beispiel|anmerkung",
        "der|die|das|und|in|ist|sind|ein|eine|einen|einer|den|dem|des|für|mit|von|zu|im|auf|wie|was|über|welche|nicht",
    ),
    "el": Language("GREEK", "εργασία|ερώτηση|οδηγία|άσκηση", "απάντηση|λύση|παράδειγμα|σημείωση|εξήγηση|υπόδειξη"),
    "es": Language(
        "LATIN",
        "tarea|pregunta|instrucción|consigna|ejercicio|usuario",
        "respuesta|solución|resultado|explicación|ejemplo|nota|pista|salida",
        "el|la|los|las|de|del|y|a|en|un|una|es|son|que|qué|cómo|cuál|cuáles|para|con|por|sobre|se|al|escribe",
    ),
    "fa": Language("ARABIC", "وظیفه|سوال|پرسش|دستور|تکلیف", "پاسخ|جواب|راه‌حل|توضیح|مثال|نکته"),
    "fr": Language(
        "LATIN",
        "tâche|question|consigne|exercice|utilisateur",
        "réponse|solution|résultat|explication|exemple|remarque|indice|corrigé",
        "le|la|les|de|du|des|et|à|en|un|une|est|sont|que|quel|quels|quelle|quelles|comment|pour|avec|sur|dans|qui|l|d",
    ),
    "he": Language("HEBREW", "משימה|שאלה|הוראה", "תשובה|פתרון|הסבר|דוגמה|רמז|הערה"),
    "hi": Language("DEVANAGARI", "कार्य|प्रश्न|निर्देश|सवाल", "उत्तर|जवाब|समाधान|उदाहरण|व्याख्या|संकेत"),
    "id": Language(
        "LATIN",
        "tugas|pertanyaan|instruksi|soal",
        "jawaban|solusi|hasil|penjelasan|contoh|catatan|petunjuk",
        "yang|dan|di|dari|untuk|dengan|apa|bagaimana|adalah|itu|ini|pada|tentang|sebuah|ke|buatlah|tulis|jelaskan",
    ),
    "it": Language(
        "LATIN",
        "compito|domanda|istruzione|esercizio|utente",
        "risposta|soluzione|risultato|spiegazione|esempio|nota|suggerimento",
        "il|lo|la|i|gli|le|di|del|della|e|a|in|un|una|è|sono|che|come|quali|cosa|per|con|su|sulla|scrivi|l",
    ),
    "ja": Language(
        "HIRAGANA|KATAKANA|CJK", "タスク|課題|問題|質問|指示|お題", "回答|答え|解答|解説|説明|ヒント|例|注意|出力"
    ),
    "ko": Language("HANGUL", "과제|작업|질문|문제|지시", "답변|답|정답|해답|해설|설명|힌트|예시|참고"),
    "nl": Language(
        "LATIN",
        "taak|opdracht|vraag|instructie|gebruiker",
        "antwoord|oplossing|resultaat|uitleg|voorbeeld|opmerking|hint",
        "de|het|een|van|en|in|is|zijn|op|te|voor|met|dat|wat|hoe|welke|over|aan|je|schrijf|of",
    ),
    "pl": Language(
        "LATIN",
        "zadanie|pytanie|polecenie|instrukcja",
        "odpowiedź|rozwiązanie|wynik|wyjaśnienie|przykład|uwaga|wskazówka",
        "i|w|na|z|do|jest|są|o|się|jak|co|jakie|jaki|dla|że|oraz|od|po|napisz|czy",
    ),
    "pt": Language(
        "LATIN",
        "tarefa|pergunta|questão|instrução|exercício|usuário",
        "resposta|solução|resultado|explicação|exemplo|nota|dica",
        "o|a|os|as|de|do|da|dos|das|e|em|um|uma|é|são|que|como|qual|quais|para|com|por|sobre|no|na|escreva",
    ),
    "ru": Language(
        "CYRILLIC", "задание|задача|вопрос|инструкция", "ответ|решение|объяснение|пример|примечание|подсказка"
    ),
    "sv": Language(
        "LATIN",
        "uppgift|fråga|instruktion",
        "svar|lösning|resultat|förklaring|exempel|anmärkning|ledtråd",
        "och|i|att|en|ett|det|är|som|på|för|med|av|till|vad|hur|vilka|om|den|de|skriv",
    ),
    "th": Language("THAI", "งาน|คำถาม|คำสั่ง|โจทย์", "คำตอบ|เฉลย|คำอธิบาย|ตัวอย่าง|คำใบ้|หมายเหตุ"),
    "tr": Language(
        "LATIN",
        "görev|soru|talimat",
        "cevap|yanıt|çözüm|sonuç|açıklama|örnek|ipucu|not",
        "ve|bir|bu|için|ile|de|da|ne|nasıl|nedir|olan|hakkında|en|mi|mı|yaz|yazın|açıkla|hangi",
    ),
    "uk": Language(
        "CYRILLIC",
        "завдання|задача|питання|запитання|інструкція",
        "відповідь|рішення|розв'язок|пояснення|приклад|примітка",
    ),
    "vi": Language(
        "LATIN",
        "nhiệm vụ|câu hỏi|yêu cầu|bài tập",
        "trả lời|câu trả lời|đáp án|lời giải|giải thích|ví dụ|gợi ý|ghi chú",
        "và|của|là|các|một|những|cho|có|trong|với|được|về|gì|như|thế|nào|hãy|viết|để",
    ),
    "zh": Language(
        "CJK",
        "任务|任務|题目|題目|问题|問題|指令",
        "参考答案|答案|回答|解答|答|解析|解释|解釋|示例|例子|提示|注意|输出|輸出",
    ),
}

_ROUGE_WORD = re.compile(r"[a-z0-9]+")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


class _Separated(dict[int, str]):
    """For ``str.translate``: each character by itself where a script has no spaces, a space for what is no word's."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        in_word = letter.isalnum() or unicodedata.category(letter).startswith("M")
        self[code] = (letter if has_spaces(letter) else f" {letter} ") if in_word else " "
        return self[code]


_SEPARATED = _Separated()


def words(text: str, language: LanguageCode) -> list[str]:
    """The words that length and ROUGE-L count, in lower case.

    English: ASCII letters and digits, as in the rouge_score package. All others: letters, digits and marks of any
    script, and in a script without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan) every character.
    """
    if language == "en":
        return _ROUGE_WORD.findall(text.lower())
    return unicodedata.normalize("NFKC", text).lower().translate(_SEPARATED).split()


def written_in(text: str, language: LanguageCode) -> bool:
    """Whether a text is in the language, as far as that shows.

    English: the first character and the first letter are ASCII. Others: at least half of the words are in the
    language's script, so that it may name foreign things; in Latin script, there are not more of English's commonest
    words than of its own. "any": always.
    """
    if language == "any":
        return True
    if language == "en":
        return text[:1].isascii() and next((letter.isascii() for letter in text if letter.isalpha()), False)
    known, spelled = LANGUAGES[language], [word for word in words(text, language) if word[0].isalpha()]
    own = sum(unicodedata.name(word[0], "").startswith(tuple(known.scripts.split("|"))) for word in spelled)
    return bool(spelled) and 2 * own >= len(spelled) and not _is_english(spelled, known)


def _is_english(spelled: list[str], other: Language) -> bool:
    english, common = set(_ENGLISH.split("|")), set(other.common.split("|"))
    if other.scripts != "LATIN":
        return False
    return sum(word in english - common for word in spelled) > sum(word in common - english for word in spelled)


def has_spaces(letter: str) -> bool:
    """Whether the letter's script puts spaces between words."""
    return not unicodedata.name(letter, "").startswith(_UNSPACED)
