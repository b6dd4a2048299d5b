"""Word lists of the nano grammar: what the templates' slots are filled with."""


def word_list(text: str) -> tuple[str, ...]:
    """The entries of a list that is separated by commas and line ends."""
    return tuple(word.strip() for word in text.replace("\n", ",").split(",") if word.strip())


PLANT = word_list("""
fern, moss, clover, thistle, nettle, heather, ivy, lavender, mint, basil, sage, thyme, parsley,
dandelion, buttercup, foxglove, tulip, daffodil, orchid, lily, rose, sunflower, poppy, marigold,
lotus, reed, bamboo, willow, birch, oak, maple, pine, cedar, spruce, elm, ash tree, chestnut,
walnut tree, apple tree, plum tree, cherry tree, fig tree, olive tree, palm, cactus, aloe, wheat,
barley, rye, oat, maize, rice plant, millet, bean, pea, lentil, cabbage, lettuce, spinach, carrot,
turnip, radish, beetroot, potato, onion, leek, garlic, pumpkin, cucumber, melon, tomato,
pepper plant, strawberry, raspberry, blackberry, gooseberry, grape vine, hop, flax, cotton plant,
jute, hemp, sugar cane, tea bush, coffee shrub, hedge, lawn, weed, shrub, climbing vine,
water lily, seaweed, lichen, mushroom, toadstool, truffle, mould
""")
ANIMAL = word_list("""
otter, beaver, badger, fox, wolf, bear, hare, rabbit, squirrel, hedgehog, mole, mouse, rat, bat,
deer, elk, moose, goat, sheep, cow, horse, donkey, pig, camel, llama, elephant, lion, tiger,
leopard, zebra, giraffe, monkey, gorilla, seal, walrus, whale, dolphin, shark, salmon, trout, eel,
herring, cod, tuna, carp, pike, crab, lobster, shrimp, oyster, mussel, snail, slug, worm, spider,
scorpion, ant, bee, wasp, beetle, ladybird, butterfly, moth, dragonfly, grasshopper, cricket,
mosquito, fly, frog, toad, newt, lizard, gecko, snake, tortoise, turtle, crocodile, owl, hawk,
eagle, falcon, raven, crow, magpie, robin, sparrow, swallow, swift, finch, wren, pigeon, dove,
gull, heron, stork, swan, goose, duck, hen, pheasant, peacock, parrot, penguin, puffin,
kingfisher, woodpecker, cuckoo, hummingbird, starling
""")
TOOL = word_list("""
hammer, chisel, saw, plane, drill, file, rasp, wrench, spanner, screwdriver, mallet, clamp, vice,
anvil, bellows, lathe, needle, thimble, loom, spindle, shears, scissors, knife, axe, hatchet,
sickle, scythe, spade, shovel, rake, hoe, fork, wheelbarrow, bucket, ladder, rope, pulley, lever,
crowbar, trowel, brush, roller, ruler, compass, level, plumb line, telescope, microscope,
magnifying glass, thermometer, barometer, sundial, hourglass, clock, watch, scale, balance, lamp,
lantern, candle, torch, match, stove, oven, kettle, pan, pot, ladle, whisk, sieve, grater, mortar,
rolling pin, corkscrew, broom, mop, sponge, basket, barrel, crate, sack, bottle, jar, key, lock,
hinge, nail, screw, bolt, rivet, zip, button, buckle, umbrella, tent, sleeping bag, backpack,
fishing rod, net, anchor, oar, paddle, sail, rudder, windlass, crane
""")
DEVICE = word_list("""
bicycle, tricycle, tram, train, locomotive, steam engine, diesel engine, electric motor, battery,
generator, turbine, windmill, watermill, pump, water wheel, elevator, escalator, bridge,
canal lock, lighthouse, airship, balloon, glider, aeroplane, helicopter, rocket, satellite,
submarine, canoe, kayak, raft, ferry, barge, sailing ship, truck, tractor, plough, combine,
printing press, typewriter, telegraph, telephone, radio, television, camera, projector,
gramophone, computer, keyboard, printer, scanner, sensor, transistor, microchip, solar panel,
heat pump, refrigerator, freezer, washing machine, vacuum cleaner, sewing machine, toaster,
microwave oven, smoke alarm, thermostat, light bulb, laser, magnet, prism, lens, mirror, spring,
gear, flywheel, brake, valve, boiler, radiator, chimney, fireplace, greenhouse, piano, violin,
cello, guitar, harp, flute, clarinet, oboe, trumpet, horn, drum, bell, organ, accordion,
harmonica
""")
FOOD = word_list("""
bread, flatbread, bun, roll, bagel, pancake, waffle, muffin, biscuit, cake, pie, tart, pudding,
porridge, soup, broth, stew, casserole, curry, chilli, salad, sandwich, omelette, scrambled eggs,
dumpling, noodle soup, pasta, risotto, pilaf, sausage, meatball, roast chicken, fish pie,
fish cake, pickle, chutney, jam, marmalade, honey cake, custard, yoghurt, butter, cheese,
cream sauce, tomato sauce, gravy, mustard, vinegar, pesto, hummus, mashed potato, baked beans,
lemonade, cider, tea, coffee, cocoa, milkshake, smoothie, ice cream, sorbet, toffee, fudge,
caramel, chocolate, shortbread, scone, crumble, fritter, gingerbread, sourdough bread, rye bread,
apple sauce, fruit salad, onion tart, potato salad, bean stew
""")
MATERIAL = word_list("""
wood, oak, pine, clay, stone, granite, marble, limestone, sandstone, slate, brick, concrete,
cement, plaster, glass, iron, steel, copper, bronze, brass, tin, lead, zinc, silver, gold,
aluminium, paper, cardboard, leather, wool, cotton, linen, silk, felt, canvas, rubber, plastic,
wax, resin, amber, chalk, charcoal, coal, peat, salt, sand, gravel, straw, cork, ivory, bone,
horn, porcelain, ink, paint, varnish, glue, soap, oil, tar
""")
PHENOMENON = word_list("""
rain, snow, hail, frost, fog, mist, dew, thunder, lightning, a rainbow, wind, a storm,
a hurricane, a tornado, a drought, a flood, a tide, a wave, an ocean current, an earthquake,
a volcano, a landslide, an avalanche, erosion, rust, decay, mould on walls, fermentation,
evaporation, condensation, freezing, melting, friction, static electricity, an echo, a shadow,
an eclipse, a comet, a meteor shower, the northern lights, the seasons, day and night, migration,
hibernation, pollination, photosynthesis, sleep, hunger, thirst, a fever, a cough, a headache,
hiccups, yawning, sneezing, cramp, sunburn, a rash, inflation, unemployment, a traffic jam,
a power cut, a leak, a squeaky hinge, damp, dust, noise
""")
IDEA = word_list("""
gravity, momentum, pressure, density, temperature, energy, electricity, magnetism, light, sound,
an atom, a molecule, a cell, a gene, evolution, an ecosystem, a food chain, the water cycle,
a glacier, a delta, a desert, a rainforest, a coral reef, a fossil, a mineral, a crystal,
a planet, a star, a galaxy, an orbit, the moon, an algorithm, a database, a variable, a compiler,
a network, a password, encryption, a backup, a spreadsheet, a website, an email, a browser,
a loan, a mortgage, interest, a budget, a tax, a pension, insurance, a contract, a will, a patent,
copyright, a trademark, a jury, a court, a parliament, an election, a treaty, a constitution,
democracy, a republic, a guild, a trade union, a grammar, an alphabet, a dialect, a proverb,
a metaphor, a sonnet, a novel, a ballad, a fable, a myth, a symphony, a scale in music, a chord,
rhythm, chess, cricket, football, tennis, rowing, fencing, archery, wrestling, a marathon,
a heart, a lung, the liver, a muscle, a bone, the skin, a tooth, the eye, the ear, blood,
a vaccine, a vitamin, a protein
""")
FIELD = word_list("""
gardening, farming, fishing, forestry, cooking, baking, brewing, carpentry, masonry, plumbing,
weaving, knitting, sewing, pottery, printing, painting, drawing, sculpture, photography, music,
theatre, dancing, sailing, hiking, climbing, running, swimming, cycling, medicine, nursing, law,
banking, trade, teaching, engineering, chemistry, physics, biology, geology, astronomy, geography,
history, mathematics, computing, mining, shipbuilding, transport, beekeeping, navigation
""")
COLOUR = word_list("""
red, dark red, green, pale green, bright green, dark green, blue, pale blue, yellow, golden,
orange, brown, reddish brown, grey, silver grey, black, white, cream, purple, violet, pink,
spotted, striped, shiny, dull grey
""")
SIZE = word_list(
    "small, tiny, large, huge, long, short, tall, low, thin, thick, heavy, light, broad, narrow,"
    " round, flat"
)
QUALITY = word_list("""
simple, hardy, common, rare, useful, cheap, costly, strong, soft, hard, quiet, loud, slow, quick,
old, modern, gentle, fragile, tough, dry, wet, warm, cold, sweet, bitter, sour, smooth, rough,
clean, safe, reliable, popular, familiar
""")
HABITAT = word_list("""
damp woods, dry hills, high mountains, river banks, shallow lakes, salt marshes, open meadows,
old walls, sandy shores, deep valleys, cold northern forests, warm southern plains, stony deserts,
coastal cliffs, ponds and ditches, hedgerows, gardens and parks, city streets, tropical islands,
peat bogs, wide grasslands, fields and farmyards, caves, rocky slopes
""")
REGION = word_list("""
the north, the south, the east, the west, the mountains, the lowlands, the coast, the islands,
the border country, the old provinces, the river valleys, the highlands, northern Europe,
southern Asia, central Africa, South America, the Mediterranean, the Middle East, India, China,
Japan, Egypt, Greece, Italy, France, Spain, Germany, Scotland, Ireland, Norway, Russia, Mexico,
Peru, Canada, Australia, the United States, Britain, the Alps
""")
GROUP = word_list("""
farmers, sailors, bakers, carpenters, builders, weavers, cooks, gardeners, hunters, fishermen,
traders, monks, soldiers, teachers, doctors, nurses, engineers, miners, potters, printers,
painters, musicians, travellers, children, students, housekeepers, shepherds, millers, smiths,
tailors, scientists, beginners, craftsmen, villagers, townspeople, merchants
""")
TIME = word_list("""
spring, summer, autumn, winter, early spring, late summer, the rainy season, the dry season,
the morning, the evening, cold weather, hot weather, the first year, harvest time, the night
""")
CENTURY = word_list("""
the twelfth century, the thirteenth century, the fourteenth century, the fifteenth century,
the sixteenth century, the seventeenth century, the eighteenth century, the nineteenth century,
the early twentieth century, the Middle Ages, ancient times, the Bronze Age, Roman times,
the Renaissance, the age of steam, the late 1800s, the 1920s, the 1950s
""")
NUMBER = word_list("""
two, three, four, five, six, seven, eight, ten, twelve, fifteen, twenty, thirty, forty, fifty,
sixty, eighty, a hundred, two hundred, several hundred, a thousand, 3, 5, 8, 12, 25, 40, 60, 75,
90, 120, 150, 250, 300, 450, 800
""")
NUMBER = (*NUMBER, "1,200", "3,000", "12,000", "25,000")
UNIT = word_list(
    "centimetres, metres, millimetres, kilograms, grams, kilometres, feet, inches, litres"
)
SPAN = word_list("""
a few minutes, ten minutes, half an hour, an hour, two hours, a day, two days, a week, two weeks,
a month, six months, a year, several years, a whole season, overnight, about twenty minutes,
three quarters of an hour
""")
VERB = word_list("""
clean, repair, sharpen, store, polish, paint, oil, test, choose, mount, replace, measure, fold,
carry, dry, plant, prune, water, feed, train, catch, handle, move, wash, heat, cool, tie, cut,
carve, weave, sew, patch, draw, photograph, tune, lubricate, adjust, assemble, dismantle,
insulate, seal, varnish, label, weigh, pack, protect, split, stack, harvest, sow, graft,
propagate, transplant, record, install, set up, take apart, look after, get rid of, remove, build,
sketch
""")
PART = word_list("""
the edge, the handle, the base, the rim, the surface, the back, the front, the lid, the frame,
the joint, the tip, the stem, the leaves, the roots, the seeds, the bark, the skin, the shell,
the cover, the strap, the blade, the wheel, the spring, the inside, the outside, the top,
the bottom, the corners, the seam, the grain, the thread, the shaft
""")
AID = word_list("""
a soft cloth, a sharp knife, a stiff brush, warm water, a little oil, fine sandpaper,
a piece of string, a clean bucket, a wooden board, a pair of pliers, a pencil and a ruler,
a small screwdriver, a damp sponge, mild soap, a sheet of paper, a strong light, a flat stone,
thick gloves, masking tape, a dry towel, a steel file, a bowl of cold water, clear wax
""")
INGREDIENT = word_list("""
flour, sugar, salt, butter, milk, eggs, cream, yeast, honey, oil, vinegar, onions, garlic,
carrots, potatoes, tomatoes, beans, lentils, rice, barley, cheese, lemon juice, apples, raisins,
nuts, cinnamon, ginger, pepper, parsley, thyme, mint, mushrooms, spinach, leeks, chicken, lamb,
fish, bacon, stock, yoghurt, oats, mustard, chilli, chocolate
""")
DISHWARE = word_list(
    "a large bowl, a deep pan, a heavy pot, a baking tin, a frying pan, a greased dish, a jug,"
    " a shallow tray"
)
TRADE = word_list("""
potter, painter, engineer, botanist, composer, surveyor, clockmaker, doctor, poet, explorer,
astronomer, architect, teacher, chemist, weaver, printer, navigator, farmer, singer, historian,
sculptor, geologist, inventor, lawyer, nurse, shipbuilder, glassmaker, mathematician, novelist,
photographer, midwife, beekeeper, violinist, dancer, judge, merchant, philosopher, cartographer,
gardener, baker, swimmer, cyclist, chess player, journalist, librarian, physicist, zoologist
""")
PLACE_KIND = word_list("""
town, village, city, river, lake, island, mountain, valley, harbour, castle, forest, bay, desert,
canal, market town, fishing village, port, peninsula, national park, waterfall, cathedral, square,
railway station, spring, pass, district
""")
SIGHT = word_list("""
an old stone bridge, a market square, a ruined castle, a small museum, a tall lighthouse,
a row of painted houses, a covered market, a long sandy beach, a pine forest, a narrow gorge,
a white church, a busy harbour, a botanical garden, a weekly cattle market,
a steep path to the summit, a hot spring, a glass factory, a medieval wall, a hill fort,
a famous school of weaving, a summer music festival, a boat race, a clock tower, a silver mine,
a nature reserve
""")
FIRST = word_list("""
Anna, Maria, Johan, Elena, Peter, Clara, Thomas, Ingrid, Pavel, Rosa, Henrik, Lucia, Samuel,
Amina, Viktor, Edith, Hugo, Nadia, Oskar, Helen, Marco, Leila, Jonas, Miriam, Arthur, Sofia, Emil,
Ruth, Daniel, Greta, Ivan, Martha, Karl, Agnes, Felix, Tamara, Robert, Olga, Simon, Priya, Kenji,
Mei, Kwame, Zara, Omar, Fatima, Diego, Inez, Mateo, Yusuf
""")
KIND_NOUN = word_list("""
species, kinds, types, varieties, sorts, forms, classes, families, breeds, styles, models
""")
