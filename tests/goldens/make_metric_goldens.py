#!/usr/bin/env python3
"""Makes metric_cases.json, the golden file of tests/*metrics_test.cpp (made with sacreBLEU 2.6.0, scikit-learn 1.9.1, SciPy 1.17.1,
seqeval 1.2.2, rouge-score 0.1.2, NLTK 3.10.4).

    python3 tests/goldens/make_metric_goldens.py SQUAD1 SQUAD2 CMRC

writes it beside itself. The arguments are the published evaluation scripts of SQuAD 1.1 (evaluate-v1.1.py), SQuAD 2.0
(evaluate-v2.0.py) and CMRC 2018 (squad-style-data/cmrc2018_evaluate.py, which is Python 2 and is translated on the way). NLTK's
word_tokenize() takes each text as one sentence, so that its models of sentences are not needed.
"""
import contextlib
import importlib.util
import io
import json
import pathlib
import random
import re
import sys
import types
import warnings

import nltk
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from scipy import stats
from seqeval import metrics as seqeval
from sklearn import metrics as sk

HERE = pathlib.Path(__file__).parent
warnings.filterwarnings("ignore")
random.seed(15)

SENTENCES = [
    "The dog bit the man.", "The dog bit the  man , again .", "It wasn't surprising.", "No one was surprised.", "", " ", "...", "a", "A",
    "Prices rose 3.5% to $1,234.50 (a record), didn't they?", "Prices rose 3,5 % to 1.234,50 $ -- a record; 'really'!",
    "e.g., U.S.A., i.e. 1-2-3, 2020-2021, x-ray, -5, 5-", "&quot;Tom &amp; Jerry&quot; &lt;b&gt; &amp;lt; <skipped>x", "a,b.c,.d..,e 1,a 2.b .5 ,6 7. 8,",
    "[x] {y} ~z` ^_^ @home #1 a/b a\\b a|b a=b+c*d", "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    "Ein Mann mit orangem Hut starrt etwas an.", "Größe: 1,80 m – „gut“ … ça va ? naïve", "今天天气很好，我们去3.5公里外的公园（GPT-2）。", "今天的天气很好，我们去公园。",
    "我爱“北京”——天安门 Tian'anmen, 2008.8.8！", "𠀀𠀁 ㍿ ☃ ❤ ﷼ ｆｕｌｌ ア ｱ 한국어 ⿰", "日本語のテキスト、です。", "tab\tand\u00a0no-break\u3000space \u2028 line", "x\x1cy\x85z",
    "the the the the the the the", "the cat is on the mat", "ﬁne İstanbul K ΟΔΟΣ", "Привет, мир! 5-й",
]


def bleu_cases():
    tokens = {name: [BLEU(tokenize=name).tokenizer(s.rstrip()).split() for s in SENTENCES] for name in ("13a", "zh", "none", "char")}
    texts = [s for s in SENTENCES if len(s) > 10]
    sentences, corpora = [], []
    for _ in range(60):
        hypothesis, references = random.choice(texts), random.sample(texts, random.randint(1, 3))
        words = random.choice(references).split()
        if random.random() < 0.6:
            hypothesis = " ".join(random.sample(words, len(words)) if random.random() < 0.3 else words[:random.randint(1, len(words))])
        name = random.choice(["13a", "zh", "none", "char"])
        bleu, chrf = BLEU(tokenize=name, effective_order=True), CHRF()
        score = bleu.sentence_score(hypothesis, references)
        sentences.append({"hypothesis": hypothesis, "references": references, "tokenize": name, "bleu": score.score,
                          "chrf": chrf.sentence_score(hypothesis, references).score, "line": str(score).split(" = ", 1)[1],
                          "rouge_l": rouge_scorer.RougeScorer(["rougeL"]).score_multi(references, hypothesis)["rougeL"].fmeasure})
    for smooth, value in (("exp", None), ("none", None), ("floor", None), ("floor", 0.5), ("add-k", None), ("add-k", 2)):
        for name in ("13a", "zh"):
            for count in (1, 3, None):
                lines = random.sample(texts, 6)
                rows = [random.sample(texts, count or random.randint(1, 3)) for _ in lines]
                rows = [r if random.random() < 0.4 else [line[: len(line) * 2 // 3] + " end"] + r[1:] for line, r in zip(lines, rows)]
                if count is None:
                    rows[0], rows[1] = rows[0][:1], (rows[1] * 2)[:2]
                streams = [[r[i] if i < len(r) else None for r in rows] for i in range(max(map(len, rows)))]
                bleu, chrf = BLEU(tokenize=name, smooth_method=smooth, smooth_value=value), CHRF()
                score, other = bleu.corpus_score(lines, streams), chrf.corpus_score(lines, streams)
                corpora.append({"hypotheses": lines, "references": rows, "tokenize": name, "smooth": smooth, "smooth_value": value or -1,
                                "bleu": score.score, "line": score.format(width=1).split(" = ", 1)[1], "signature": str(bleu.get_signature()),
                                "chrf": other.score, "chrf_signature": str(chrf.get_signature())})
    return {"texts": SENTENCES, "tokens": tokens, "sentences": sentences, "corpora": corpora}


def class_cases():
    cases = []
    for classes, count, right in ((2, 40, 0.7), (2, 5, 0), (2, 30, 1), (3, 60, 0.5), (6, 200, 0.6), (6, 9, 0.5), (2, 1, 0), (4, 20, -1)):
        truth = [random.randrange(classes) for _ in range(count)] if right >= 0 else [1] * count
        guess = [t if random.random() < right else random.randrange(classes) for t in truth] if right >= 0 else [2] * count
        cases.append({
            "classes": classes, "truth": truth, "guess": guess, "accuracy": sk.accuracy_score(truth, guess),
            "macro": sk.f1_score(truth, guess, average="macro", zero_division=0), "micro": sk.f1_score(truth, guess, average="micro"),
            "binary": sk.f1_score(truth, guess, zero_division=0) if classes == 2 else -1, "matthews": sk.matthews_corrcoef(truth, guess),
            "each": [list(map(float, column)) for column in zip(*sk.precision_recall_fscore_support(truth, guess, labels=range(classes), zero_division=0))],
            "matrix": sk.confusion_matrix(truth, guess, labels=range(classes)).tolist()})
    return cases


def multi_label_cases():
    cases = []
    for labels, count, density in ((3, 20, 0.4), (5, 30, 0.2), (4, 6, 0), (1, 4, 0.5), (7, 12, 0.7)):
        truth = [[int(random.random() < density) for _ in range(labels)] for _ in range(count)]
        guess = [[t if random.random() < 0.7 else int(random.random() < 0.3) for t in row] for row in truth]
        ids = lambda rows: [[i for i, on in enumerate(row) if on] for row in rows]
        cases.append({"labels": labels, "truth": ids(truth), "guess": ids(guess), "exact": sk.accuracy_score(truth, guess),
                      "macro": sk.f1_score(truth, guess, average="macro", zero_division=0) if labels > 1 else -1,
                      "micro": sk.f1_score(truth, guess, average="micro", zero_division=0) if labels > 1 else -1})
    return cases


def number_cases():
    cases = []
    for count, step in ((2, 0), (3, 0), (50, 0), (60, 1), (30, 2)):  # step: numbers come in steps, so that there are ties
        truth = [random.uniform(0, 5) for _ in range(count)]
        guess = [t + random.gauss(0, 1) for t in truth]
        if step:
            truth, guess = [round(t / step) * step for t in truth], [round(g / step) * step for g in guess]
        cases.append({"truth": truth, "guess": guess, "pearson": stats.pearsonr(truth, guess)[0], "spearman": stats.spearmanr(truth, guess)[0],
                      "mse": sk.mean_squared_error(truth, guess)})
    return cases


def tag_cases():
    cases = []
    kinds = ["B", "I", "O", "O", "E", "S"]
    for alphabet, count in ((kinds, 40), (["B", "I", "O"], 40), (["I", "O"], 20), (kinds + ["L", "U", "."], 30)):
        for plain in (False, True):
            def tag():
                kind = random.choice(alphabet)
                return kind if kind in "O." or plain else kind + "-" + random.choice(["PER", "LOC", "MISC-X"])
            truth = [["O"] + [tag() for _ in range(random.randint(0, 12))] for _ in range(count)]
            guess = [[t if random.random() < 0.7 else tag() for t in row] for row in truth]
            report = seqeval.classification_report(truth, guess, output_dict=True, zero_division=0)
            types_of = {k: [v["precision"], v["recall"], v["f1-score"], int(v["support"])] for k, v in report.items() if " avg" not in k}
            cases.append({"truth": truth, "guess": guess, "f1": seqeval.f1_score(truth, guess, zero_division=0),
                          "macro": seqeval.f1_score(truth, guess, average="macro", zero_division=0),
                          "accuracy": seqeval.accuracy_score(truth, guess), "types": types_of})
    return cases


ANSWERS = ["", "the", "The", "a", "Denver Broncos", "the Denver Broncos!", "Broncos", "denver   broncos", "1,234", "1234", "an apple a day", "apple day",
           "theatre", "A.", "U.S.", "us", "_the_ cat", "cat", "naïve the‐x", "the½", "½", "ein a\u0301 b", "to be or not to be", "not to be", "be be be", "«the»",
           "\u00a0x\u3000y ", "“a”", "İ", "I\u0307"]
CHINESE = ["踢爆", "即为踢爆", "韩国Nexon", "nexon", "Nexon公司", "4分钟", "4 分钟", "2V2、4V4", "2v2 4v4", "《跑跑卡丁车》", "跑跑卡丁车", "3.14%", "1,234.5米", "a", "", "。",
           "……", "he can't stop.", "he can't stop", "他说：“cannot 'tis gonna, (ok)?”", "U.S. Army", "$5, 6; 7--8", "约翰·史密斯（John Smith）", "john smith", "约翰", "－－x",
           "𠀀好", "龥龦", "the 'quoted' word's \"end\"", "1990年-1992年", "1990-1992", "e=mc^2", "wanna go", "d'ye more'n ``x'' ..!"]


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_cmrc(path):
    """The parts of the script that score, in Python 3: strings are Unicode there."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    text = re.sub(r"^(reload\(sys\)|sys\.setdefaultencoding.*)$", "", text, flags=re.M)
    text = text.replace(".decode('utf-8')", "").replace("ur'", "r'").expandtabs(4)
    module = types.ModuleType("cmrc")
    exec(compile(text, "cmrc", "exec"), module.__dict__)
    module.nltk = types.SimpleNamespace(word_tokenize=lambda t: nltk.word_tokenize(t, preserve_line=True))
    return module


def answer_cases(squad1, squad2, cmrc):
    cases = []

    def dataset(answers):
        return [{"paragraphs": [{"qas": [{"id": "q", "answers": [{"text": a} for a in answers]}]}]}]

    for rules, pool in (("squad1", ANSWERS), ("squad2", ANSWERS), ("cmrc", CHINESE)):
        pairs = [(p, [a]) for p in pool for a in pool] if rules == "cmrc" else [(p, [p]) for p in pool]
        pairs += [(random.choice(pool), random.sample(pool, random.randint(1, 3))) for _ in range(150)]
        for predicted, answers in pairs + ([("", []), ("x", []), ("the", [])] if rules == "squad2" else []):
            if rules == "squad1":
                with contextlib.redirect_stderr(io.StringIO()):
                    both = squad1.evaluate(dataset(answers), {"q": predicted})
                exact, f1 = both["exact_match"] / 100, both["f1"] / 100
            elif rules == "squad2":
                exacts, f1s = squad2.get_raw_scores(dataset(answers), {"q": predicted})
                exact, f1 = exacts["q"], f1s["q"]
            else:
                exact, f1 = cmrc.calc_em_score(answers, predicted), cmrc.calc_f1_score(answers, predicted)
            cases.append([rules, predicted, answers, float(exact), float(f1)])
    segments = [[text, cmrc.mixed_segmentation(text, rm_punc=True)] for text in CHINESE]
    return {"scores": cases, "segments": segments}


def main(squad1, squad2, cmrc):
    sys.argv = ["script"]
    cases = {"bleu": bleu_cases(), "classes": class_cases(), "multi_label": multi_label_cases(), "numbers": number_cases(), "tags": tag_cases(),
             "answers": answer_cases(load(squad1, "squad1"), load(squad2, "squad2"), load_cmrc(cmrc))}
    (HERE / "metric_cases.json").write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in cases.items()) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
