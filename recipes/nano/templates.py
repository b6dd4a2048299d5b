"""Sentence templates of the nano grammar: for every kind of question, how people ask it and how a text answers it.

Slots: `{s}` `{S}` the subject as it is asked for, `{the}` `{The}` on later mention, `{it}` `{It}` `{its}` `{them}`,
`{is}` `{was}` `{has}` `{does}` and `{v:grow}` agree with its number, `{t}` `{T}` is a second subject, `{core}` the
bare noun, `{name}` an invented name, `{part1}`... see `grammar.py`; every other slot is a list in `words.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """One way to ask (most usual wording first) and the texts that answer it."""

    kind: str
    topics: tuple[str, ...]
    asks: tuple[str, ...]
    openers: tuple[str, ...]
    bodies: tuple[str, ...]
    closers: tuple[str, ...] = ()
    layout: str = "prose"


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines() if line.strip())


FACTS: dict[str, tuple[str, ...]] = {
    "plant": _lines("""
        {The} {v:grow} in {habitat} and {v:flower} in {time}.
        In {region} {it} {v:grow} wild along {habitat}.
        The leaves of {the} are {colour} and {size}, with {colour} edges.
        {Its} flowers are {colour} and {v_open} only in {time}.
        {It} {v:need} plenty of water in {time} and very little in {time}.
        {It} {v:reach} a height of about {number} {unit}.
        The seeds ripen in {time} and are carried off by the wind or by {animal_pl}.
        {animal_pl_cap} feed on {the} and carry {its} seeds to {habitat}.
        {Group_} in {region} dry {the} and use {it_obj} as medicine.
        Too much shade makes {the} thin and {colour}.
        {It} {v:prefer} {quality} soil and {v:suffer} in frost.
    """),
    "animal": _lines("""
        {The} {v:live} in {habitat} and {v:feed} on {plant_pl}, {animal_pl} and seeds.
        {It} {v:weigh} up to {number} grams and {v:grow} to {number} {unit}.
        During {time} {it} {v:sleep} for {span} and {v:live} on {its} fat.
        {Its} coat is {colour} in {time} and {colour} in {time}.
        The young are born in {time} and stay with the mother for {span}.
        {Group_} in {region} once hunted {the} for meat and skin.
        {It} {v:build} a nest of {material} and leaves among {habitat}.
        When {it} {is} in danger, {it} {v:make} a {quality} sound and {v:hide}.
        The chief enemies of {the} are {animal_pl} and {animal_pl}.
        At night {it} {v:come} out to look for food near {habitat}.
    """),
    "tool": _lines("""
        The handle of {the} is usually made of {material} and the working part of {material}.
        {Group_} use {the} for {field} and sometimes for {field}.
        {It} {v:come} in several sizes, from {number} to {number} {unit}.
        A {quality} one can last for many years if it is kept dry.
        {The} should be cleaned with {aid} after use.
        Older ones were made of {material} and were much heavier.
        {It} {v:cost} little and can be found in any shop for {field}.
        In {region} {the} {is} still made by hand from {material}.
        Held in the right hand, {the} {v:work} with little force.
        Children should not use {the} without help.
    """),
    "device": _lines("""
        Inside {the} there is a {tool} that turns a wheel of {material}.
        {It} {v:need} little care apart from a drop of oil in {time}.
        {The} {v:use} about as much power as {number} lamps.
        A small part made of {material} keeps {the} from turning too fast.
        {Group_} in {region} were the first to use {the} in daily work.
        {It} {v:weigh} about {number} kilograms and {v:run} for {span}.
        If {the} {v:stop}, the fault is nearly always in {part}.
        Newer models are {quality} and use parts of {material} in place of {material}.
        With {the}, work that took {span} can be done in {span}.
    """),
    "food": _lines("""
        {The} {is} eaten in {region}, mostly in {time}, with {ingredient} and {ingredient}.
        {It} {v:taste} {quality} at first and then slightly {quality}.
        Some cooks add {ingredient} and leave out the {ingredient}.
        {It} {v:keep} for {span} in a cool place.
        {The} {is} usually served warm with a little {ingredient}.
        Families in {region} each have their own way of making {it_obj}.
        The colour of {the} comes from the {ingredient}, which makes {it_obj} {colour}.
        Cold {core} can be sliced and fried in {ingredient} the next day.
    """),
    "material": _lines("""
        {The} {is} found in {region}, where {group} have worked with {it_obj} since {century}.
        {It} {is} {quality} when fresh and {quality} once it has dried.
        {The} {v:resist} water but not heat.
        Mixed with {material}, {it} {v:become} {colour} and {quality}.
        {Group_} cut {the} with a {tool} and smooth {it_obj} with {aid}.
        A block of {core} weighs about {number} kilograms.
        {It} {v:melt} slowly and {v:cool} in {span}.
    """),
    "idea": _lines("""
        {Group_} study {the} together with {field} and {field}.
        The word was first used in {century} by a {trade} in {region}.
        A {quality} example of {the} can be seen in {field}.
        Without {the}, much of modern {field} would not work.
        {The} {is} often confused with something else, but the two are not the same.
        Most people meet {the} for the first time at school.
        Every book on {field} has a chapter about {the}.
        It took {group} {span} to agree on how to measure {the}.
    """),
    "phenomenon": _lines("""
        {The} {is} most common in {time} and in {region}.
        {It} may last for {span} and then stop without warning.
        {Group_} watch for {the} because it can spoil their work.
        Old stories blamed {the} on {animal_pl} or on angry spirits.
        {The} {is} rare in {region}, where the air is {quality}.
        {group_cap} in {region} measure {the} with a {tool}.
        A {quality} day in {time} is often followed by {s}.
    """),
    "craft": _lines("""
        {Group_} learn {the} in {span} and get better at it for years.
        The work needs {aid}, {aid} and some patience.
        In {region} {the} {is} taught to children in school.
        Good light and a steady hand matter more than costly tools.
        A beginner will spoil a few pieces of {material} first.
        Most {group} do this work in {time}, when there is time.
    """),
}

GENERAL = _lines("""
    This has hardly changed since {century}.
    {Group_} and {group} do not always agree about this.
    In {region} things are done in another way.
    There are about {number} such cases every year.
    Nobody knows exactly why, but {group} have noticed it for a long time.
    A {trade} named {person} wrote about it in {century}.
    For example, {group} in {region} may wait {span} before they begin.
    Most of them are {colour}, and a few are {colour}.
    It is also mentioned in books on {field}.
    Like {plant_pl} and {animal_pl}, they depend on the weather.
""")

THINGS = ("plant", "animal", "tool", "device", "food", "material", "idea", "phenomenon", "craft")
OBJECTS = ("plant", "animal", "tool", "device", "food", "material")

GROUPS: tuple[Group, ...] = (
    Group(
        "definition",
        THINGS,
        ("What {is} {s}?", "Explain what {s} {is}.", "Define {s}."),
        _lines("""
            {S} {is} a {quality}, {colour} {head} from {region}.
            {S} {is} a {size} {head} used by {group} in {field}.
            {S} {is} a kind of {head} that {group} in {region} know well.
            A {size} {head} with {colour} parts, {s} {is} used in {field}.
            The word {core} means a {size} {head} of {quality} make.
            By {s}, people mean a {quality} {head} found in {habitat}.
            In {field}, {s} {is} what {group} call a {quality} {head}.
            {S} {is} one of the {quality} things in {field}, a {head} that is {size} and {colour}.
            When {group} speak of {s}, they mean a {quality} {head}.
            The {head} known as {core} {v_has1} been familiar to {group} since {century}.
        """),
        _lines("""
            The name {core} comes from an old word for {colour}.
            It is called {core} because of its {colour} {head} shape.
            {S} {is} not the same as a {tool}, though the two look alike.
            Strictly speaking, {s} {is} neither {quality} nor {quality}, but people use the word for both.
            {It} {is} about {number} {unit} long and {number} {unit} wide.
            {S} {is} made up of {part}, {part} and {part}.
            The main purpose of {s} {is} to help {group} with {field}.
        """),
    ),
    Group(
        "history",
        THINGS,
        ("What is the history of {s}?", "Give a short history of {s}.", "Tell the history of {s}."),
        _lines("""
            {S} {was} first made in {region} in {century}.
            The story of {s} begins in {region} in {century}.
            In {century}, {group} in {region} discovered {s} by accident.
            Nobody knows who invented {s}, but {group} used {it_obj} as early as {century}.
            {S} {v_has} a long past: pictures from {century} already show {it_obj}.
            The earliest {core} was found in {region} and dates from {century}.
            Before {century}, {s} {was} known only to {group} in {region}.
            {Group_} brought {s} from {region} to {region} in {century}.
            In the beginning, {s} {was} a thing for {group} alone.
        """),
        _lines("""
            In {century} a {trade} named {person} improved {the} and sold {it_obj} to {group}.
            By {century} {s} had spread to {region} and {region}.
            During the wars {group} nearly forgot {the}.
            The first book about {s} was printed in {century}.
            In 1{d}{d}{d} a workshop in {region} began to make {number} of them a year.
            In 18{d}{d} {person}, a {trade}, changed {the} by adding parts of {material}.
            After {century} {the} slowly lost {its} importance.
            For hundreds of years {the} hardly changed at all.
            Laws passed in {century} allowed only {group} to own {it_obj}.
            Trade with {region} made {the} cheaper, and soon every house had {it_obj}.
        """),
        _lines("""
            Today {s} {is} known all over the world.
            Since then {s} {has} become popular again.
            Today {the} can be seen mostly in museums.
            Now {group} use {it_obj} much as people did in {century}.
        """),
    ),
    Group(
        "kinds",
        (*OBJECTS, "idea"),
        (
            "What are the different types of {p}?",
            "List the main kinds of {p}.",
            "Name some kinds of {p}.",
        ),
        _lines("""
            There are more than {number} {kind_noun} of {p}.
            There are {number} main {kind_noun} of {p}.
            {P} come in {number} {kind_noun}.
            {Group_} divide {p} into {number} {kind_noun}.
            Not all {p} are alike: there are at least {number} {kind_noun}.
            Several {kind_noun} of {p} are known in {region}.
            Shops sell {number} {kind_noun} of {p}.
            Among the many {kind_noun} of {p}, {number} are common.
            {P} differ a great deal from one another.
        """),
        _lines("""
            The most common is the {name} {core}, because it {v_does} well in {habitat}.
            The {name} {core} is {size} and {colour}.
            {name} {p} are {colour} and {quality}.
            The {name} kind is {quality}, but it costs more.
            The {colour} {core} is found only in {region}.
            The {name} is {quality} and can be kept in {habitat}.
            {name} {p} grow to {number} {unit} and are {colour}.
            The smallest, the {name}, weighs only {number} grams.
            A {size} kind called the {name} is used by {group} in {region}.
            The {name} is {colour} and {quality}, while the {name} is {colour} and {quality}.
            The {adj_name} kind is soft to the touch, and the {adj_name} kind is harder but cheaper.
        """),
        _lines("""
            Which of these {p} is best depends on the use.
            Other {p} are rare.
        """),
    ),
    Group(
        "causes",
        ("phenomenon", "animal", "plant", "device", "material", "food"),
        ("Why {does} {s} {deed}?", "Explain why {s} {v:deed}.", "What makes {s} {deed}?"),
        _lines("""
            {S} {v:deed} because {cause}.
            The reason that {s} {v:deed} is simple: {cause}.
            When {s} {v:deed}, it is because {cause}.
            {S} {v:deed} when {cause}.
            Many people ask why {s} {v:deed}. The main reason is that {cause}.
            It is no accident that {s} {v:deed}: {cause}.
            {S} {v:deed} mainly since {cause}.
        """),
        _lines("""
            As a result, {the} {v:deed} sooner or later.
            At the same time {cause}, and this adds to the effect.
            The effect is stronger in {time}, when {cause}.
            If {cause2}, {s} {v:deed} even faster.
            This happens less often in {region}, since {cause}.
            Another cause is that {cause}.
            A {trade} showed in {century} that {cause}.
            Once this has begun, it takes {span} to stop.
        """),
    ),
    Group(
        "causes",
        ("phenomenon", "problem"),
        ("What causes {s}?", "Explain what causes {s}.", "What is the cause of {s}?"),
        _lines("""
            {S} {is} caused by {cause_np}.
            {S} {v:begin} when {cause}.
            The usual cause of {s} {is} {cause_np}.
            Behind {s} there is nearly always {cause_np}.
            {S} {v:come} from {cause_np}.
            Most often {s} {v:happen} because {cause}.
            When {cause}, the result is {s}.
            {cause_cap}. This is what leads to {s}.
        """),
        _lines("""
            Another cause of {s} {is} {cause_np}.
            It also happens that {cause}.
            {S} {v:grow} worse when {cause}.
            In {region} {cause_np} and {cause_np} play a part too.
            As {cause}, {s} can follow within {span}.
            In {time} the chance of {s} is greater because {cause}.
        """),
        _lines("""
            Without {cause_np} there would be no {core}.
            To prevent {s}, {group} look first for {cause_np}.
        """),
    ),
    Group(
        "comparison",
        OBJECTS,
        (
            "What is the difference between {s} and {t}?",
            "Compare {s} and {t}.",
            "How {does} {s} differ from {t}?",
        ),
        _lines("""
            {S} and {t} look alike, but {s} {is} {quality} and {t} {is} {quality}.
            {S} {is} {size} and {colour}, while {t} {is} {size} and {colour}.
            {S} and {t} are often confused.
            Both {s} and {t} are used by {group} in {region}.
            Unlike {t}, {s} {is} {quality} and {quality}.
            The main difference between {s} and {t} lies in {part}.
            At first sight {s} and {t} seem to be the same.
            {Group_} who know {s} well may be surprised by {t}.
        """),
        _lines("""
            {S} {v:cost} more than {t}, but {v:last} longer.
            {T} {is} {quality}, whereas {s} {is} {quality}.
            {S} {is} found in {habitat}; {t} {is} found in {habitat}.
            {T} {v:need} more care than {s}.
            While {s} can be kept for {span}, {t} must be used within {span}.
            Of the two, {t} {is} the more {quality}.
            {S} {v:suit} {group}, and {t} {v:suit} {group}.
            In {region} people prefer {s} to {t}.
            {S} {v:weigh} {number} grams, and {t} {v:weigh} {number}.
            On the other hand, {t} {is} {colour} and {size}.
        """),
        _lines("""
            Both have their place.
            For {field}, {s} {is} the better choice; for {field}, {t} {is}.
        """),
    ),
    Group(
        "proscons",
        (*OBJECTS, "craft", "idea"),
        ("What are the advantages and disadvantages of {s}?", "What are the pros and cons of {s}?"),
        _lines("""
            The main advantage of {s} {is} that {it} {is} {quality}.
            {S} {v_has} several advantages.
            {S} {v_has} strengths and weaknesses.
            {Group_} like {s} because {it} {is} {quality} and {quality}.
            {S} {is} {quality} and {quality}, but not without drawbacks.
            There is much to be said for {s}, and something against.
            Many {group} praise {s}, while others avoid {it_obj}.
        """),
        _lines("""
            However, {it} {is} also {quality} and {v:take} up space.
            One drawback is that {the} {v:break} easily in {time}.
            Another advantage is that {it} {v:save} {span} of work.
            On the other hand, {the} can be {quality} and hard to repair.
            The chief disadvantage of {s} {is} the price.
            A further benefit is that {the} {v:last} for {span}.
            Against this stands the fact that {it} {v:need} {aid}.
            {It} {is} safe and {quality}, which matters to {group}.
            Critics say that {the} {is} too {quality} for {field}.
        """),
        _lines("""
            For most {group} the advantages are greater than the disadvantages.
            Whether {s} {is} worth it depends on the work.
        """),
    ),
    Group(
        "proscons",
        ("plant", "tool", "device", "material"),
        ("What {is} {s} used for?", "What are the uses of {s}?"),
        _lines("""
            {S} {is} used for many things.
            {Group_} use {s} to {verb} {thing_pl}.
            {S} {v:serve} {group} in {field} and {field}.
            There are many uses for {s}.
            {S} {is} used mainly to {verb} {thing_pl}, but also to {verb} {thing_pl}.
            In {field}, {s} {is} used to {verb} {thing_pl}.
            {S} {v_has} found many uses in {region}.
        """),
        _lines("""
            {Group_} use {it_obj} to {verb} {thing_pl}.
            In {region} {it} {is} used in {field}.
            {It} {is} also used to {verb} {thing_pl} in {time}.
            Another use of {the} {is} in {field}.
            Old {core} can be used again to {verb} {thing_pl}.
            With {the}, {group} can {verb} {thing_pl} in {span}.
        """),
    ),
    Group(
        "howto",
        ("task",),
        ("How do you {s}?", "Explain how to {s}.", "Describe how to {s}."),
        _lines("""
            To {s}, start with {aid} and {aid}.
            To {s}, first take {aid} and put it on {part}.
            Before you {s}, make sure that {part} is dry.
            Anyone can {s} with {aid} and some patience.
            To {s} well, you need {aid}.
            It is easy to {s} once you have {aid}.
            The best way to {s} is to work slowly with {aid}.
            You can {s} in {span} if you have {aid} at hand.
            First gather {aid} and {aid}. To {s}, begin with {part}.
            {Group_} {s} in {time}, and the work is not hard.
        """),
        _lines("""
            First, {verb} {part} with {aid}.
            Then {verb} {part} and wait for {span}.
            Next, hold {part} firmly and {verb} it with {aid}.
            After {span}, check {part} and {verb} it again if needed.
            Do not press too hard, or {part} may break.
            Leave {the} for {span} before you go on.
            Use {aid} to {verb} {part}.
            Turn {the} over and {verb} {part} in the same way.
            Work from {part} towards {part}.
            Take care not to damage {part}.
        """),
        _lines("""
            Finally, {verb} {part} and put {the} away.
            At the end, wipe {part} with {aid}.
            When {part} is {quality}, the work is done.
            Repeat this every {span}.
        """),
    ),
    Group(
        "howto",
        ("task",),
        ("How do you {s}?", "Explain how to {s}.", "Describe how to {s}."),
        _lines("""
            To {s}:
            How to {s}:
            Follow these steps to {s}:
            You can {s} in a few steps:
            It takes {span} to {s}:
        """),
        _lines("""
            {verb_cap} {part} with {aid}.
            Put {the} on {aid} and wait for {span}.
            {verb_cap} {part} and {part}.
            Check that {part} is {quality}.
            Take {aid} and {verb} {part}.
            Leave it to rest for {span}.
            Turn {the} over and repeat.
            {verb_cap} {the} once more with {aid}.
        """),
        layout="steps",
    ),
    Group(
        "recipe",
        ("food",),
        (
            "Write a recipe for {core}.",
            "Give me a recipe for {core}.",
            "What is a good recipe for {core}?",
        ),
        _lines("""
            To make {core}, mix {ingredient}, {ingredient} and {ingredient} in {dish}.
            For {core} you need {number} grams of {ingredient}, some {ingredient} and a little {ingredient}.
            Heat the {ingredient} in {dish} and add the {ingredient} for the {core}.
            This {core} is made with {ingredient} and {ingredient}.
            A good {core} begins with fresh {ingredient}.
            Chop the {ingredient} and fry them with {ingredient} in {dish}.
            To make {core} for four people, take {number} grams of {ingredient} and {number} grams of {ingredient}.
        """),
        _lines("""
            Add the {ingredient} and stir for {span}.
            Stir in the {ingredient} and the {ingredient}.
            Cook the {core} over a low heat for {span}.
            Pour the mixture into {dish} and leave it for {span}.
            Season with {ingredient} and {ingredient}.
            Bake the {core} until the top is golden, about {span}.
            Beat the {ingredient} with the {ingredient} until smooth.
            Cover {dish} and let it simmer for {span}.
            Fold in {number} grams of {ingredient}.
            Wash and chop the {ingredient}.
        """),
        _lines("""
            Serve the {core} hot with {ingredient}.
            Let the {core} cool before you cut it.
            Sprinkle with {ingredient} and serve.
            The {core} keeps for {span}.
        """),
    ),
    Group(
        "recipe",
        ("food",),
        (
            "Write a recipe for {core}.",
            "Give me a recipe for {core}.",
            "What is a good recipe for {core}?",
        ),
        _lines("""
            Ingredients for {core}: {number} grams of {ingredient}, {ingredient}, {ingredient}.
            {core_cap}, for {number} people:
            For the {core}, take {ingredient}, {ingredient} and {ingredient}.
        """),
        _lines("""
            Mix the {ingredient} and the {ingredient} in {dish}.
            Add the {ingredient} and stir.
            Heat {dish} and melt the {ingredient}.
            Cook for {span}.
            Bake for {span} until golden.
            Serve with {ingredient}.
            Add {number} grams of {ingredient}.
        """),
        layout="steps",
    ),
    Group(
        "place",
        ("place",),
        ("Describe {s}.", "What is {s} known for?", "Tell me about {s}."),
        _lines("""
            {S} is a {place_kind} in {region}.
            {S} lies on the edge of {habitat} in {region}.
            In {region}, between {habitat} and {habitat}, lies {s}.
            The {place_kind} of {s} has about {number} people.
            {S} is a {quality} {place_kind} known for {sight}.
            Visitors come to {s} to see {sight} and {sight}.
            High in {region} stands {s}, a {place_kind} with {sight}.
            Surrounded by {habitat}, {s} is one of the oldest parts of {region}.
            {S}, in {region}, is known for {sight}.
        """),
        _lines("""
            The centre of {s} has {sight} and {sight}.
            Most people in {s} live from {field} and {field}.
            In {time} the weather is {quality} and {quality}.
            A road leads from {s} to {habitat}.
            {Group_} founded {s} in {century}.
            About {number} visitors come every year to see {sight}.
            Around {s} there are {habitat}, where {animal_pl} live.
            The houses are built of {material} and painted {colour}.
            {S} can be reached by train in {span}.
            The highest point is {number} metres above the sea.
            Near {s} there is {sight}.
            The market of {s} sells {ingredient} and {ingredient}.
        """),
    ),
    Group(
        "person",
        ("person",),
        ("Who was {s}?", "Write a short biography of {s}.", "Tell me about the life of {s}."),
        _lines("""
            {S} was a {trade} from {region}.
            {S} was born in {region} in 1{d}{d}{d}.
            Born in a {place_kind} in {region} in 18{d}{d}, {s} became a {trade}.
            The {trade} {s} was born in {region}.
            {S} worked as a {trade} in {region} and later in {region}.
            {S} ({d1}-{d2}) was a {quality} {trade}.
            Few people in {region} have not heard of {s}, the {trade}.
            As a child in {region}, {s} wanted to be a {trade}.
        """),
        _lines("""
            {Last} studied {field} and {field} as a young {person_noun}.
            In 18{d}{d} {last} wrote a book about {field}.
            At the age of {number2} {last} moved to {region}.
            {Last} taught {group} in {region} for {number2} years.
            The best known work of {last} deals with {plant_pl} and {animal_pl}.
            {Last} married a {trade} and had {number3} children.
            With a friend, {last} built a {tool} of {material}.
            {Last} received a prize for work on {field}.
            In later years {last} lived in a {place_kind} in {region}.
        """),
        _lines("""
            {Last} died in {region} in 19{d}{d}.
            A street in {region} bears the name of {last}.
            Today {last} is remembered by {group}.
        """),
    ),
)

DEEDS: dict[str, tuple[str, ...]] = {
    "plant": (
        "grow",
        "wither",
        "bloom",
        "lose leaves",
        "turn yellow",
        "spread",
        "bend",
        "climb",
        "rot",
        "smell",
    ),
    "animal": (
        "sing",
        "hide",
        "migrate",
        "sleep",
        "dig",
        "swim",
        "jump",
        "change colour",
        "gather",
        "hunt at night",
    ),
    "device": (
        "stop",
        "break down",
        "overheat",
        "rattle",
        "turn",
        "leak",
        "float",
        "spin",
        "make noise",
        "wear out",
    ),
    "material": (
        "crack",
        "shrink",
        "swell",
        "rust",
        "fade",
        "melt",
        "burn",
        "harden",
        "shine",
        "bend",
    ),
    "food": (
        "rise",
        "spoil",
        "burn",
        "taste bitter",
        "turn brown",
        "sink",
        "thicken",
        "foam",
        "stick",
        "dry out",
    ),
    "phenomenon": ("happen", "occur", "return", "last", "spread", "stop", "get worse", "begin"),
}

CAUSE_SUBJECTS = _lines("""
    warm air
    cold water
    the ground
    the sun
    moist air
    the wind
    the surface
    the pressure
    the heat
    the salt in the water
    the light
    the soil
    the metal
    the muscle
    a small crack
    the yeast
    the water inside
    the price of {material}
    the demand for {material}
""")
CAUSE_VERBS = _lines("""
    rises and cools
    expands in the heat
    dries out too fast
    meets cold air from {region}
    cannot escape
    becomes too heavy
    pushes against {part}
    falls during {time}
    rubs against {part}
    warms up more slowly than the air
    is held back by {material}
    has nowhere to go
    lets water into {part}
    reacts with the air
    changes from day to day
    reaches {part} first
""")
CAUSE_NOUNS = _lines("""
    a lack of water
    too much heat
    changes in the weather
    warm air that meets cold air
    pressure from below
    poor soil
    a loss of salt
    too little light
    friction between {part} and {part}
    water that freezes in small cracks
    tiny living things in the air
    the pull of the moon
    a sudden rise in prices
    dirt in {part}
    worn parts of {material}
    a strong wind from {region}
    the heat of the sun
    tired muscles
""")
PROBLEMS = _lines("""
    leaf rot
    root worm
    lamp flicker
    wheel wobble
    rust spots
    blight
    yellow fever
    swelling
    cracks in {material}
    damp walls
    weeds in a lawn
    bad harvests
    stains on {material}
    sore feet
    blocked pipes
    dead batteries
    high prices
    crop failure
    tooth decay
    soil erosion
    back pain
    engine knock
    a dry skin
""")
