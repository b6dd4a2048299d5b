"""Seed -> made-up (instruction, response) examples: the text that nano is trained on.

A response is composed from `templates.py` and `words.py` about one subject, whose name is mostly
invented, so that a model has to copy names rather than remember them. Names with an invented word
for which `is_reserved` holds are never used for training; the benchmark uses only those.
"""

import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import templates
import words
from templates import GROUPS, Group

_SLOT = re.compile(r"\{([A-Za-z_0-9:]+(?: [a-z ]+)?)\}")
_ONSETS = """
    b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sh sk sl sn sp st
    str t th tr v w z
""".split()
_VOWELS = "a a e e i i o o u u ai ea ee oo ou y".split()
_CODAS = "b ck d f g k l ll m n nd ng nk nt p r rd rk rn rt s sk ss st t th x z".split()
_ENDINGS = """
    a o el en er et in is le on or um us ine ock ow art ell een age ing ness ment tion sion
    ity ium ism ist ium ous ology graph meter ship hood ling ster ery ware wood berry fish
    stone bird work board land house ford ton ham
""".split()
_LETTERS = re.compile(r"[A-Za-z]{4,}")

_HEADS = {
    "plant": "plant shrub herb tree flower grass weed vine fern moss".split(),
    "animal": "animal bird fish insect beast mammal reptile moth mouse deer".split(),
    "tool": "tool instrument knife hammer lamp brush saw clamp needle bucket".split(),
    "device": "machine device engine pump vehicle boat instrument motor wheel lamp".split(),
    "food": "dish bread cake soup stew pie sauce drink cheese pudding".split(),
    "material": "material cloth stone metal wood glass resin clay fibre paper".split(),
    "idea": "rule method idea system number measure unit form custom game".split(),
    "phenomenon": "event process change sign condition state movement effect".split(),
    "craft": "craft skill trade pastime kind of work art".split(),
    "problem": "fault disease trouble".split(),
}
_MODIFIERS = words.word_list("""
mountain, river, garden, copper, winter, summer, wild, field, salt, stone, iron, silver, forest,
desert, house, sea, white, black, red, blue, green, yellow, giant, dwarf, common, royal, northern,
southern, western, eastern, mud, glass, paper, wooden, steel, hand, foot, pocket, kitchen, field,
barn, marsh, hill, sand, rain, snow, sun, moon, fire, water, wind, village, school, ship, night,
morning, sweet, bitter, long-tailed, short, thick, hollow, striped, spotted, double, electric,
open, folding, garden, hot, cold, brown, golden, tall, dry, old, new, small, large, Dutch, Roman,
Indian
""")
_TOPIC_WORDS = {
    "plant": words.PLANT, "animal": words.ANIMAL, "tool": words.TOOL, "device": words.DEVICE,
    "food": words.FOOD, "material": words.MATERIAL, "idea": words.IDEA,
    "phenomenon": words.PHENOMENON, "craft": words.FIELD,
}  # fmt: skip
_PLURALS = {
    "plant_pl": words.PLANT,
    "animal_pl": words.ANIMAL,
    "thing_pl": (*words.TOOL, *words.DEVICE, *words.PLANT, *words.ANIMAL),
}
SMALL_WORDS = frozenset(
    """
    about after against along also among another because been before behind between both come
    comes different does down each either ever every first from have have having here however
    into just less made make many more most much must near neither never next nobody none
    often once only other over same several should since some such than that their them then
    there these they this those through under until upon very were what when where which while
    whose will with within without would
""".split()
)
# Words of a question that are not about its subject.
ASKING_WORDS = frozenset(
    """
    about advantages benefits biography cause causes compare define describe difference differ
    disadvantages does explain give good history instructions kinds known life list main make makes
    name pros recipe short sorts steps story tell types used uses varieties what write
    better
""".split()
)
# Slots that sometimes hold an invented word: a strange word alone must not give the subject away.
_STRANGE = frozenset(
    {"quality", "material", "colour", "tool", "group", "trade", "field", "ingredient", "part"}
)
_SHARE = {
    "definition": 1.0, "history": 1.0, "kinds": 1.2, "causes": 0.7, "comparison": 1.0,
    "proscons": 0.6, "howto": 0.7, "recipe": 0.5, "place": 1.0, "person": 0.9,
}  # fmt: skip
_PLACE_FORMS = (
    "{}", "Lake {}", "Mount {}", "Port {}", "{} Island", "{} Falls", "Saint {}", "the {} Valley",
    "New {}", "the River {}",
)  # fmt: skip
_TROUBLES = "rot fever rust decay blight dust noise pain fog swelling".split()
_IRREGULAR = {
    "mouse": "mice", "goose": "geese", "wolf": "wolves", "shelf": "shelves", "knife": "knives",
    "loaf": "loaves", "leaf": "leaves", "tooth": "teeth", "foot": "feet", "sheep": "sheep",
    "deer": "deer", "fish": "fish", "elk": "elk", "moose": "moose", "salmon": "salmon",
    "trout": "trout", "cod": "cod",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """An instruction and the text that answers it; a right instruction names all `subjects`."""

    kind: str
    subjects: tuple[str, ...]
    instruction: str
    response: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a text is about: its noun, its name in a sentence, and how verbs agree with it."""

    topic: str
    core: str
    name: str
    later: str
    number: str  # "sg", "pl" or "mass"


def is_reserved(word: str) -> bool:
    """Whether an invented word is kept for testing."""
    return zlib.crc32(word.lower().encode()) % 8 == 0


def plural(noun: str) -> str:
    """The plural of an English noun, regular forms only (and those the word lists need)."""
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        many = _IRREGULAR[last]
    elif last.endswith("s") and not last.endswith("ss") and len(last) > 5:
        many = last  # a plural already, such as scissors
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return f"{head} {many}" if head else many


def third_person(verb: str) -> str:
    """'grow' -> 'grows'; only the first word of a phrase changes."""
    first, space, rest = verb.partition(" ")
    if first == "have":
        first = "has"
    elif first.endswith(("s", "sh", "ch", "x", "o")):
        first += "es"
    elif first.endswith("y") and first[-2] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "s"
    return first + space + rest


def capitalized(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _kept(names: tuple[str, ...]) -> set[str]:
    """The lower-case words of the names, singular and plural."""
    return {w.lower() for n in names for w in re.findall(r"[A-Za-z]+", f"{n} {plural(n)}")}


class Composer:
    """An endless, repeatable source of examples.

    Attributes:
        reserved: Whether subjects are named by the invented words that are kept for testing.
        strange: Whether some texts have words replaced by invented ones, as a difficulty.
    """

    def __init__(self, seed: int, *, reserved: bool = False, strange: bool = True) -> None:
        self.rng = random.Random(seed)
        self.reserved = reserved
        self.strange = strange

    def examples(self) -> Iterator[Example]:
        """Examples without end, the kinds in the proportions of `_SHARE`."""
        weights = [
            _SHARE[group.kind] / sum(g.kind == group.kind for g in GROUPS) for group in GROUPS
        ]
        while True:
            yield self.example(self.rng.choices(GROUPS, weights)[0])

    # -- names ------------------------------------------------------------------------------------

    def word(self, *, name: bool = False) -> str:
        """An invented word: for a subject one that `reserved` allows, for a mere `name` any."""
        while True:
            syllables = self.rng.choices((1, 2, 3), (2, 6, 2))[0]
            text = "".join(
                self.rng.choice(_ONSETS)
                + self.rng.choice(_VOWELS)
                + (self.rng.choice(_CODAS) if self.rng.random() < 0.6 else "")
                for _ in range(syllables)
            )
            if (syllables < 3 and self.rng.random() < 0.5) or len(text) < 4:
                text += self.rng.choice(_ENDINGS)
            if name or is_reserved(text) == self.reserved:
                return text

    def _name(self) -> str:
        """A capitalised invented or borrowed name for things that are not the subject."""
        return (
            capitalized(self.word(name=True))
            if self.rng.random() < 0.7
            else capitalized(self.rng.choice(_MODIFIERS))
        )

    def core(self, topic: str) -> str:
        """A noun of the topic: invented, half invented, or (never with `reserved`) ordinary."""
        roll = self.rng.random() * (0.55 if self.reserved else 1.0)
        listed = _TOPIC_WORDS.get(topic, ())
        heads = _HEADS[topic]
        if roll < 0.35 or not listed:
            return self.word()
        if roll < 0.55:
            return f"{self.word()} {self.rng.choice(heads)}"
        noun = self.rng.choice(listed)
        if roll < 0.75 and not noun.startswith(("a ", "an ", "the ")):
            return f"{self.rng.choice(_MODIFIERS)} {noun}"
        return noun

    def subject(self, topic: str) -> Subject:
        """A subject of the topic, with the number its sentences will keep."""
        special = {
            "person": self._person,
            "place": self._place,
            "task": self._task,
            "problem": self._problem,
        }
        return special[topic]() if topic in special else self._thing(topic)

    def _person(self) -> Subject:
        core = f"{self.rng.choice(words.FIRST)} {capitalized(self.word())}"
        return Subject("person", core, core, core, "sg")

    def _place(self) -> Subject:
        word = capitalized(self.word())
        form = self.rng.choices(_PLACE_FORMS, (10, *[1] * (len(_PLACE_FORMS) - 1)))[0].format(word)
        return Subject("place", form.removeprefix("the "), form, form, "sg")

    def _task(self) -> Subject:
        noun = self.core(self.rng.choice(templates.OBJECTS))
        verb = self.rng.choice(words.VERB)
        if self.rng.random() < 0.7:
            return Subject("task", noun, f"{verb} {self._article(noun)}", f"the {noun}", "sg")
        return Subject("task", noun, f"{verb} {plural(noun)}", f"the {plural(noun)}", "sg")

    def _problem(self) -> Subject:
        if self.rng.random() < 0.4 and not self.reserved:
            core = self._fill(self.rng.choice(templates.PROBLEMS))
        else:
            core = f"{self.word()} {self.rng.choice(_TROUBLES)}"
        many = core.split()[0].endswith("s") and " in " in core
        return Subject("problem", core.removeprefix("a "), core, core, "pl" if many else "mass")

    def _thing(self, topic: str) -> Subject:
        core = self.core(topic)
        if core.startswith(("a ", "an ", "the ")):
            bare = core.split(" ", 1)[1]
            return Subject(topic, bare, core, f"the {bare}", "sg")
        number = "mass"
        if topic not in ("food", "material", "craft", "phenomenon"):
            mass = 1 if topic in ("plant", "idea") else 0
            number = self.rng.choices(("sg", "pl", "mass"), (4, 4, mass))[0]
        if number == "mass":
            return Subject(topic, core, core, core, number)
        if number == "sg":
            name = f"the {core}" if self.rng.random() < 0.25 else self._article(core)
            return Subject(topic, core, name, f"the {core}", number)
        many = plural(core)
        later = f"the {many}" if self.rng.random() < 0.3 else many
        return Subject(topic, core, many, later, number)

    @staticmethod
    def _article(noun: str) -> str:
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

    # -- texts ------------------------------------------------------------------------------------

    def example(self, group: Group) -> Example:
        """One example of the group: a subject, the question, and a text of the group's shape."""
        topic = self.rng.choice(group.topics)
        subject = self.subject(topic)
        while group.kind == "kinds" and subject.number == "sg":
            subject = self.subject(topic)
        local = self._local(subject)
        names: tuple[str, ...] = (subject.core,)
        if group.kind == "comparison":
            other = self.subject(topic)
            while other.number != subject.number or other.core == subject.core:
                other = self.subject(topic)
            local |= {"t": other.name, "T": capitalized(other.name)}
            names = (subject.core, other.core)
        if group.kind == "causes":
            local["deed"] = self.rng.choice(templates.DEEDS.get(topic, ("happen",)))
        ask = self.rng.choices(group.asks, (6, 2, 2)[: len(group.asks)])[0]
        sentences = self._sentences(group, topic, local)
        strangeness = self.rng.choices((0.0, 0.1, 0.3), (5, 3, 2))[0] if self.strange else 0.0
        keep = _kept(names)
        sentences = [self._estranged(sentence, strangeness, keep) for sentence in sentences]
        if group.layout == "steps":
            mark = self.rng.choice(("1.", "- ", "* ", "1)"))
            lines = [
                f"{i}{mark[1:]} {s}" if mark[0] == "1" else mark + s
                for i, s in enumerate(sentences[1:], 1)
            ]
            text = "\n".join([sentences[0], *lines])
        else:
            text = " ".join(sentences)
        return Example(group.kind, names, self._fill(ask, local), text)

    def _sentences(self, group: Group, topic: str, local: dict[str, str]) -> list[str]:
        rng = self.rng
        count = rng.choices((1, 2, 3, 4, 5), (1, 3, 4, 3, 2))[0]
        bodies = rng.sample(
            group.bodies, min(len(group.bodies), count + (2 if group.layout == "steps" else 0))
        )
        fillers: list[str] = []
        if group.layout == "prose" and group.kind not in ("place", "person", "recipe", "howto"):
            facts = templates.FACTS.get(topic, ())
            fillers = rng.sample(facts, min(len(facts), rng.choices((0, 1, 2, 3), (3, 4, 3, 2))[0]))
        if group.layout == "prose" and rng.random() < 0.35:
            fillers.append(rng.choice(templates.GENERAL))
        middle = bodies + fillers
        if group.layout == "prose":
            rng.shuffle(middle)
        closer = [rng.choice(group.closers)] if group.closers and rng.random() < 0.5 else []
        opener = [rng.choice(group.openers)]
        if group.layout == "prose" and fillers and rng.random() < 0.15:
            opener.insert(0, middle.pop())
        return [capitalized(self._fill(t, local)) for t in (*opener, *middle, *closer)]

    def _estranged(self, sentence: str, share: float, keep: set[str]) -> str:
        """The sentence with that share of its longer words replaced by invented ones.

        Real prose is full of words a small model never saw; the subject must be found among them by
        its place and its repetition, not by its strangeness.
        """

        def strange(match: re.Match[str]) -> str:
            word = match[0]
            if word.lower() in keep or word.lower() in SMALL_WORDS or self.rng.random() >= share:
                return word
            other = self.word(name=True) + ("s" if word.endswith("s") else "")
            return capitalized(other) if word[0].isupper() else other

        return _LETTERS.sub(strange, sentence) if share else sentence

    def _local(self, s: Subject) -> dict[str, str]:
        many = s.number == "pl"
        born = self.rng.randint(1500, 1999)
        name = plural(s.core) if many else s.core
        is_, was, does, has = (
            ("are", "were", "do", "have") if many else ("is", "was", "does", "has")
        )
        it, its, them = ("they", "their", "them") if many else ("it", "its", "it")
        local = {
            "s": s.name, "the": s.later, "core": s.core, "p": name, "it": it, "its": its,
            "last": s.core.split()[-1], "is": is_, "was": was, "does": does, "has": has,
            "v_has": has, "v_has1": "has", "v_does": "does", "v_open": "open", "it_obj": them,
            "topic": s.topic, "many": "yes" if many else "", "d1": str(born),
            "d2": str(born + self.rng.randint(30, 90)), "core_cap": capitalized(s.core),
        }  # fmt: skip
        return local | {
            capitalized(key): capitalized(local[key]) for key in "s the p it its last".split()
        }

    def _fill(self, template: str, local: dict[str, str] | None = None) -> str:
        known = local or {}

        def slot(match: re.Match[str]) -> str:
            key = match[1]
            if key.startswith("v:"):
                verb = known["deed"] if key == "v:deed" else key[2:]
                return verb if known.get("many") else third_person(verb)
            return known[key] if key in known else self._draw(key, known)

        return _SLOT.sub(slot, template)

    def _draw(self, key: str, known: dict[str, str]) -> str:
        rng = self.rng
        if key.endswith("_cap") or key == "Group_":
            return capitalized(
                self._draw(key.removesuffix("_cap") if key != "Group_" else "group", known)
            )
        if key in _PLURALS:
            strange = rng.random() < 0.12
            return plural(self.word(name=True) if strange else rng.choice(_PLURALS[key]))
        made: dict[str, Callable[[], str]] = {
            "name": self._name,
            "adj_name": lambda: rng.choice((self._name(), rng.choice(_MODIFIERS))),
            "person": lambda: f"{rng.choice(words.FIRST)} {capitalized(self.word(name=True))}",
            "person_noun": lambda: rng.choice(("man", "woman", "student")),
            "d": lambda: str(rng.randint(0, 9)),
            "number2": lambda: str(rng.randint(14, 60)),
            "number3": lambda: rng.choice(("two", "three", "four", "five")),
            "head": lambda: rng.choice(_HEADS[known["topic"]]),
            "cause": self._cause,
            "cause2": self._cause,
            "cause_np": lambda: self._fill(rng.choice(templates.CAUSE_NOUNS)),
            "dish": lambda: rng.choice(words.DISHWARE),
        }
        if key in made:
            return made[key]()
        if key in _STRANGE and rng.random() < 0.12:
            return plural(self.word(name=True)) if key == "group" else self.word(name=True)
        listed: tuple[str, ...] = getattr(words, key.upper())
        return rng.choice(listed)

    def _cause(self) -> str:
        """A subject and what it does: 'warm air rises and cools'."""
        who, does = (
            self.rng.choice(templates.CAUSE_SUBJECTS),
            self.rng.choice(templates.CAUSE_VERBS),
        )
        return f"{self._fill(who)} {self._fill(does)}"


_KIND_PATTERNS = (
    ("comparison", r"difference between|^compare|differ from|better,"),
    ("history", r"history of"),
    ("kinds", r"(types|kinds|sorts|varieties) of|^name some|^list "),
    ("proscons", r"advantages|pros and cons|benefits of|used for\?|uses of"),
    ("recipe", r"recipe|^how do you make "),
    ("causes", r"^why|^explain why|^what makes|what causes|cause of"),
    ("howto", r"^how (do|can|should) (you|i|we|one)|how to |^give step"),
    ("person", r"^who |biography|about the life of"),
    ("place", r"^describe (?!how)|known for|^tell me about"),
    ("definition", r"^what (is|are) |^define|^explain what"),
)


def kind_of(instruction: str) -> str:
    """Which kind of question an instruction is, by its wording; 'other' if by none."""
    for kind, pattern in _KIND_PATTERNS:
        if re.search(pattern, instruction.strip().lower()):
            return kind
    return "other"
