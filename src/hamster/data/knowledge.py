"""Common knowledge: grass is green, soup is eaten from a bowl, A is the first letter.

A fact says what a thing is without its name. Facts are split once and for all, by their own words: half of them occur
in instructions about images, a quarter only as text ("the colour of grass" is "green"), and a quarter nowhere. So what
a planner knows of text alone can be told from what it learned on images, and both from what it guesses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

Split = Literal["images", "text", "never"]
Aspect = Literal["colour", "kind", "mark"]

# Completes "the cube that has the colour of ..."; the canonical colour word comes first.
COLOURS = {
    "red": "blood|a fire engine|a ripe tomato|a strawberry|a stop sign|a ladybird|ketchup|a brick wall|rubies|a poppy",
    "green": "grass|a frog|a lime|spinach|a cactus|broccoli|a pea|moss|a cucumber|a crocodile",
    "blue": "the sky|the sea|a whale|jeans|a sapphire|a cornflower|blueberries|ink|the deep ocean|a jay",
    "yellow": "a banana|the sun|a canary|butter|a dandelion|mustard|a chick|corn|a taxi in New York|a sunflower",
    "orange": "a carrot|a pumpkin|a goldfish|a basketball|a clementine|"
    "a traffic cone|an apricot|a tiger|salmon|a mandarin",
    "purple": "an aubergine|a plum|lavender|grapes|an amethyst|a beetroot|lilac|a fig|blackcurrants|an iris",
    "pink": "a flamingo|a piglet|bubble gum|candy floss|a baby's cheeks|"
    "a prawn|raspberry yoghurt|cherry blossom|ham|a peony",
    "brown": "wood|coffee|a bear|soil|a walnut|cinnamon|a football|bark|a cardboard box|toast",
    "black": "coal|the night|a raven|tar|a panther|soot|a piano|liquorice|a hearse|a spade",
    "white": "a snowman|milk|salt|a swan|a polar bear|cotton|flour|chalk|a wedding dress|rice",
    "grey": "an elephant|concrete|a rain cloud|a mouse|steel|a shark|a dolphin|dust|a donkey|slate",
    "cyan": "a lagoon|a swimming pool|a glacier|a tropical sea|a kingfisher|"
    "mouthwash|a peacock's neck|the Caribbean|mint|ice",
}
# Completes "the thing that ..."; the canonical noun of a kind.
KINDS = {
    "apple": "grows on a tree and is eaten raw|cider is made from|fell beside Newton|"
    "keeps the doctor away|teachers are given",
    "board": "bread is cut on|one chops onions on|cheese is served on|"
    "lies under the kitchen knife|is wooden and flat in kitchens",
    "car": "drives on the road|has four wheels|one parks in a garage|runs on petrol|has a steering wheel",
    "carrot": "rabbits nibble|grows under the ground with leaves above|is a snowman's nose|"
    "is good for the eyes|horses get as a treat",
    "domino": "falls and takes the next one along|has dots on both halves|is laid end to end in a game|"
    "stands on its thin edge|comes in a set of twenty eight",
    "dumbbell": "athletes lift|trains the arms|has two heavy ends|lies about in a gym|is heavy and held in one hand",
    "pan": "eggs are fried in|pancakes are tossed in|stands on the stove|has a long handle and a rim|steak sizzles in",
    "snowman": "children build in winter|melts in spring|wears a hat and has a nose of a vegetable|"
    "stands in the garden when it is cold|is made of three big balls",
    "ball": "children kick|bounces|rolls in all directions|is thrown in games|goalkeepers catch|has no corners at all",
    "bin": "rubbish goes into|holds waste paper|"
    "stands under a desk for litter|is emptied by the dustmen|keeps toys tidy",
    "book": "one reads|has pages|authors write|stands in a library|has a cover and chapters|tells a story",
    "bottle": "wine is kept in|has a cork|has a neck and a cap|"
    "babies suck milk from|message senders throw into the sea|holds beer",
    "bowl": "one eats soup from|holds cereal|a salad is mixed in|goldfish swim in|is hollow and round|dough rises in",
    "brick": "walls are built of|masons lay|a house is made of|comes from a kiln|is longer than it is wide",
    "button": "one presses to ring|starts a machine|calls the lift|clicks under a finger|switches the light on",
    "can": "sardines come in|beans are sold in|one opens with an opener|cola is sold in|holds tuna in a cupboard",
    "candle": "burns on a birthday cake|has a wick|"
    "gives light when the power fails|melts while it burns|is made of wax",
    "cube": "has six equal faces|is thrown with dots on it|ice comes as|has twelve edges|looks like sugar for tea",
    "cup": "one drinks tea from|has a handle and holds coffee|stands on a saucer|one sips cocoa from|holds a hot drink",
    "cylinder": "has two round ends and one curved side|is shaped like a pipe|"
    "looks like a roll|stands upright and is round|pistons move in",
    "egg": "a hen lays|is boiled for breakfast|chicks hatch from|is fried with bacon|is hidden at Easter",
    "hammer": "drives nails|a carpenter swings|a judge bangs|breaks rocks|has a heavy head on a handle",
    "mushroom": "grows in the forest after rain|has a cap and a stalk|"
    "pickers look for in autumn|is no plant and no animal|is sliced on pizza",
    "plate": "dinner is served on|is flat and round|"
    "cake is eaten from|waiters carry to the table|goes into the dishwasher flat",
    "stick": "dogs fetch|is long and thin|drums are beaten with|hikers lean on|comes from a branch",
    "tile": "bathroom walls are covered with|is grouted at its edges|"
    "is laid on kitchen floors|roofs are covered with|mosaics are made of",
    "tower": "stands high above a castle|is tall and narrow|Rapunzel lived in|one climbs for the view|leans in Pisa",
    "tray": "waiters carry glasses on|breakfast in bed comes on|"
    "is flat with a low rim|cookies are baked on|one carries dishes on",
}
# Completes "the tile with ..."; the mark that is meant.
MARKS = {
    "A": "the first letter of the alphabet|the letter that Anna begins with",
    "B": "the second letter of the alphabet|the letter that banana begins with",
    "C": "the third letter of the alphabet|the letter that stands for carbon",
    "E": "the fifth letter of the alphabet|the letter that ends apple",
    "H": "the eighth letter of the alphabet|the letter that stands for hydrogen",
    "K": "the letter before L|the letter that kangaroo begins with",
    "M": "the letter before N|the letter that Monday begins with",
    "S": "the letter that a snake looks like|the letter that Sunday begins with",
    "T": "the letter before U|the letter that tiger begins with",
    "X": "the letter that marks the spot|the Roman number for ten",
    "Z": "the last letter of the alphabet|the letter that Zorro leaves",
    "star": "what twinkles at night|what sits on top of a Christmas tree",
    "heart": "what stands for love|what beats in the chest",
    "moon": "what the tides follow|what astronauts landed on",
    "sun": "what rises in the east|what warms the earth by day",
    "arrow": "what an archer shoots|what shows the way",
    "ring": "what a bride wears on her finger|what a circle with a hole is",
    "cross": "what stands on a church|what nurses and ambulances show",
    "tree": "what has roots and leaves|what an oak is",
    "house": "what a family lives in|what has a roof and a door",
    "drop": "what falls when it rains|what leaks from a tap",
}


@dataclass(frozen=True)
class Fact:
    """That `words` mean `meaning`, the canonical word for a colour, a kind or a mark."""

    aspect: Aspect
    meaning: str
    words: str

    @property
    def split(self) -> Split:
        """The split it belongs to; decided by its words alone, so that a longer bank moves no other fact."""
        draw = hashlib.sha256(f"{self.aspect}:{self.meaning}:{self.words}".encode()).digest()[0]
        return "images" if draw < 128 else "text" if draw < 192 else "never"

    @property
    def text(self) -> str:
        """The fact without a picture: what stands for its meaning."""
        return {"colour": "the colour of ", "kind": "the thing that ", "mark": ""}[self.aspect] + self.words


@cache
def facts(split: Split | None = None) -> tuple[Fact, ...]:
    """Return all facts, or those of one split, in a fixed order."""
    banks: tuple[tuple[Aspect, dict[str, str]], ...] = (("colour", COLOURS), ("kind", KINDS), ("mark", MARKS))
    all_facts = (
        Fact(aspect, meaning, words)
        for aspect, bank in banks
        for meaning, texts in bank.items()
        for words in texts.split("|")
    )
    return tuple(fact for fact in all_facts if split in (None, fact.split))
