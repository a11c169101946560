// The sentences of the sample tasks: slot grammars whose labels follow from the slots. No single word gives a label
// away: negation, concession and mentions of other classes turn it round. A share of labels is wrong on purpose.

/** Uniform in [0, 1), the next number at each call. */
export type Random = () => number;

/** A row as its task's columns take it, the label or value last. */
export type SampleRow = readonly string[];

/** Share of class labels that are replaced by another of the task's labels. */
const labelNoise = 0.04;

export const sentimentLabels = ["negative", "positive"] as const;
export const entailmentLabels = ["entailment", "not_entailment"] as const;
export const intentLabels = ["book", "change", "cancel", "ask_price", "ask_hours", "complain"] as const;

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** One of the list other than `not`. */
const pickOther = <T>(random: Random, list: readonly T[], not: T): T =>
  pick(
    random,
    list.filter((item) => item !== not),
  );

const sentence = (words: string): string => {
  const text = words.replace(/\s+/g, " ").trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
};

const noisy = <T>(random: Random, labels: readonly T[], label: T): T =>
  random() < labelNoise ? pickOther(random, labels, label) : label;

// ---- sentiment: one text, two classes ----

const reviewed = [
  ["the room", "the breakfast", "the view", "the pool"],
  ["the soup", "the service", "the dessert", "the wine"],
  ["the screen", "the battery", "the camera", "the keyboard"],
  ["the plot", "the acting", "the music", "the ending"],
  ["the guide", "the museum", "the boat trip", "the bus tour"],
] as const;
const praise = ["lovely", "excellent", "superb", "delightful", "impressive", "great", "charming", "a real pleasure"];
const blame = ["awful", "terrible", "dreadful", "disappointing", "poor", "mediocre", "annoying", "a real letdown"];
const degree = ["", "", "quite ", "simply ", "truly ", "once again "];
const negation = ["not at all", "anything but", "far from", "by no means", "hardly"];
const filler = [
  "we came on a Tuesday",
  "my sister was with us",
  "it rained all day",
  "we paid by card",
  "it was our second time",
];

const adjective = (random: Random, good: boolean): string => pick(random, good ? praise : blame);

function judgement(random: Random, thing: string, good: boolean): string {
  const form = random();
  if (form < 0.7) return `${thing} was ${pick(random, degree)}${adjective(random, good)}`;
  if (form < 0.92) return `${thing} was ${pick(random, negation)} ${adjective(random, !good)}`;
  return `nobody could call ${thing} ${adjective(random, !good)}`;
}

/** A review whose main clause decides; a concession says the opposite. */
export function sentimentRow(random: Random): SampleRow {
  const good = random() < 0.5;
  const things = pick(random, reviewed);
  const thing = pick(random, things);
  const main = judgement(random, thing, good);
  const concession = `${pickOther(random, things, thing)} was ${adjective(random, !good)}`;
  const forms = [
    () => `${main} and ${judgement(random, pickOther(random, things, thing), good)}`,
    () => `${main} and ${pickOther(random, things, thing)} was ${adjective(random, good)} too`,
    () => `${main}, and ${pick(random, filler)}`,
    () => `${pick(random, filler)}, and ${main}`,
    () => (random() < 0.5 ? `although ${concession}, ${main}` : `all in all ${main}, even though ${concession}`),
    () => `I had expected ${thing} to be ${adjective(random, !good)}, but it turned out ${adjective(random, good)}`,
  ];
  const label = noisy(random, sentimentLabels, good ? "positive" : "negative");
  return [sentence(pick(random, forms)()), label];
}

// ---- entailment: two texts, two classes ----

const people = ["Maria", "Tom", "Aisha", "Peter", "Yuki", "Carlos", "Emma", "Ravi"];
const deeds = [
  { did: "bought", base: "buy", same: "purchased", opposite: "sold" },
  { did: "found", base: "find", same: "discovered", opposite: "lost" },
  { did: "repaired", base: "repair", same: "fixed", opposite: "broke" },
  { did: "cleaned", base: "clean", same: "washed", opposite: "soiled" },
  { did: "borrowed", base: "borrow", same: "took on loan", opposite: "lent out" },
] as const;
const objects = [
  { noun: "bicycle", kind: "vehicle" },
  { noun: "motorbike", kind: "vehicle" },
  { noun: "guitar", kind: "musical instrument" },
  { noun: "violin", kind: "musical instrument" },
  { noun: "sofa", kind: "piece of furniture" },
  { noun: "wardrobe", kind: "piece of furniture" },
  { noun: "necklace", kind: "piece of jewellery" },
  { noun: "laptop", kind: "computer" },
] as const;
const looks = ["red", "heavy", "second-hand", "tiny", "blue", "valuable"];
const towns = ["in Lisbon", "in Toronto", "in Nairobi", "in Oslo", "in Lima", "in Kyoto"];
const days = ["on Monday", "last week", "in the morning", "two days ago", "after work"];

/** A report and a claim: the claim follows (paraphrase, fewer details) or does not (other facts, negation, opposite). */
export function entailmentRow(random: Random): SampleRow {
  const [person, deed, object, town] = [
    pick(random, people),
    pick(random, deeds),
    pick(random, objects),
    pick(random, towns),
  ];
  const thing = `${pick(random, looks)} ${object.noun}`;
  const report = `${person} ${deed.did} a ${thing} ${town} ${pick(random, days)}, and ${pick(random, filler)}`;
  const otherThing = pick(
    random,
    objects.filter(({ kind }) => kind !== object.kind),
  );
  const following = [
    () => `${person} ${deed.same} a ${object.noun}`,
    () => `a ${object.noun} was ${deed.did} by ${person} ${town}`,
    () => `somebody ${deed.did} a ${object.kind} ${town}`,
    () => `it is not wrong that ${person} ${deed.did} a ${thing}`,
    () => `${town}, ${person} ${deed.same} a ${object.kind}`,
  ];
  const contrary = [
    () => `${person} did not ${deed.base} a ${object.noun} ${town}`,
    () => `nobody ${deed.did} a ${object.kind} ${town}`,
    () => `a ${otherThing.noun} was ${deed.did} by ${person} ${town}`,
    () => `${person} ${deed.opposite} a ${object.noun}`,
    () => `${pickOther(random, people, person)} ${deed.same} a ${otherThing.kind} ${pickOther(random, towns, town)}`,
  ];
  const follows = random() < 0.5;
  const claim = pick(random, follows ? following : contrary)();
  return [
    sentence(report),
    sentence(claim),
    noisy(random, entailmentLabels, follows ? "entailment" : "not_entailment"),
  ];
}

// ---- similarity: two texts, a value ----

// Neighbours in a group mean the same; groups of one row are related; rows have nothing in common.
const actors = [
  [
    ["a man", "a guy"],
    ["a woman", "a lady"],
  ],
  [
    ["a child", "a kid"],
    ["a teenager", "a youngster"],
  ],
  [
    ["a dog", "a hound"],
    ["a puppy", "a young dog"],
  ],
  [
    ["a chef", "a cook"],
    ["a waiter", "a steward"],
  ],
] as const;
const actions = [
  [
    ["is slicing bread", "is cutting a loaf"],
    ["is peeling potatoes", "is skinning potatoes"],
  ],
  [
    ["is running", "is jogging"],
    ["is walking slowly", "is strolling"],
  ],
  [
    ["is playing the piano", "is practising on the piano"],
    ["is singing a song", "is performing a song"],
  ],
  [
    ["is sleeping", "is taking a nap"],
    ["is lying down", "is resting"],
  ],
  [
    ["is reading a newspaper", "is looking through a newspaper"],
    ["is writing a letter", "is composing a letter"],
  ],
] as const;
const places = [
  [
    ["in the garden", "in the yard"],
    ["in the park", "on the lawn"],
  ],
  [
    ["in the kitchen", "in the galley"],
    ["at the dining table", "in the dining room"],
  ],
  [
    ["at the beach", "by the sea"],
    ["by the lake", "on the shore of a lake"],
  ],
  [
    ["in the street", "on the road"],
    ["on the pavement", "on the sidewalk"],
  ],
] as const;

type Meanings = readonly (readonly (readonly string[])[])[];

/** Two wordings and how alike they are: 1, 0.5 or 0. */
function wordings(random: Random, meanings: Meanings): { first: string; second: string; alike: number } {
  const row = pick(random, meanings);
  const group = pick(random, row);
  const first = pick(random, group);
  const chance = random();
  if (chance < 0.45) return { first, second: pick(random, group), alike: 1 };
  if (chance < 0.7) return { first, second: pick(random, pickOther(random, row, group)), alike: 0.5 };
  return { first, second: pick(random, pick(random, pickOther(random, meanings, row))), alike: 0 };
}

/** Two scenes; 0 (nothing in common) to 5 (the same): what happens counts half, who 0.3, where 0.2, plus noise. */
export function similarityRow(random: Random): SampleRow {
  const [actor, action, place] = [wordings(random, actors), wordings(random, actions), wordings(random, places)];
  const exact = 5 * (0.3 * actor.alike + 0.5 * action.alike + 0.2 * place.alike);
  const value = Math.min(5, Math.max(0, exact + 0.6 * (random() - 0.5)));
  const moved =
    random() < 0.3 ? [place.second, actor.second, action.second] : [actor.second, action.second, place.second];
  const texts = [`${actor.first} ${action.first} ${place.first}`, moved.join(" ")];
  return [...texts.map(sentence), value.toFixed(1)];
}

// ---- intent: one text, six classes ----

type Intent = (typeof intentLabels)[number];

const bookable = [
  { thing: "table", with: "for four", opens: "the restaurant" },
  { thing: "room", with: "with a balcony", opens: "the reception" },
  { thing: "train ticket", with: "to Bergen", opens: "the ticket office" },
  { thing: "haircut", with: "with Nina", opens: "the salon" },
  { thing: "rental car", with: "with winter tyres", opens: "the rental desk" },
  { thing: "swimming lesson", with: "for my son", opens: "the pool" },
] as const;
const times = ["tonight", "on Friday", "next weekend", "at noon", "on the third of May", "tomorrow morning"];
const openings = ["", "", "hello, ", "good morning, ", "excuse me, ", "hi there, "];

const requests: Record<Intent, readonly ((item: (typeof bookable)[number], time: string, other: string) => string)[]> =
  {
    book: [
      ({ thing, with: detail }, time) => `could you get me a ${thing} ${detail} ${time}?`,
      ({ thing, with: detail }, time) => `I would like a ${thing} ${detail} ${time}`,
      ({ thing }, time, other) => `somebody else cancelled ${other}, so can I have a ${thing} ${time}?`,
      ({ thing, with: detail }) => `whatever it costs, please reserve a ${thing} ${detail}`,
    ],
    change: [
      ({ thing }, time, other) => `can we move my ${thing} from ${other} to ${time}?`,
      ({ thing }, time) => `I do not want to cancel my ${thing}, I only need it ${time} instead`,
      ({ thing, with: detail }) => `please make the ${thing} that I booked one ${detail}`,
      ({ thing }, time, other) => `I booked a ${thing} ${other}, but ${time} would suit me better`,
    ],
    cancel: [
      ({ thing }, time) => `I will not be needing the ${thing} ${time} after all`,
      ({ thing }, time, other) => `do not change my ${thing} ${time} to ${other}, just drop it`,
      ({ thing }, time) => `please call off the ${thing} that I booked ${time}`,
      ({ thing, with: detail }) => `forget about my ${thing} ${detail}, something has come up`,
    ],
    ask_price: [
      ({ thing, with: detail }) => `how much do you charge for a ${thing} ${detail}?`,
      ({ thing }, time) => `before I book a ${thing} ${time}, what would I have to pay?`,
      ({ thing }, time) => `is a ${thing} cheaper ${time}?`,
      ({ thing }) => `would changing my ${thing} cost anything?`,
    ],
    ask_hours: [
      ({ opens }, time) => `is ${opens} open ${time}?`,
      ({ opens, thing }) => `until when can I come to ${opens} about my ${thing}?`,
      ({ opens }, time) => `does ${opens} close early ${time}?`,
      ({ opens, thing }) => `what time does ${opens} open, so that I can book a ${thing}?`,
    ],
    complain: [
      ({ thing }, time) => `the ${thing} I got ${time} was nothing like what I paid for`,
      ({ opens }, time) => `I stood before ${opens} ${time} and nobody came`,
      ({ thing }) => `you cancelled my ${thing} without a word, that is not acceptable`,
      ({ opens, thing }) => `the people at ${opens} were rude when I asked about the price of a ${thing}`,
    ],
  };

/** What a customer wants; many requests mention another intent in passing. */
export function intentRow(random: Random): SampleRow {
  const intent = pick(random, intentLabels);
  const [item, time] = [pick(random, bookable), pick(random, times)];
  const request = pick(random, requests[intent])(item, time, pickOther(random, times, time));
  return [sentence(`${pick(random, openings)}${request}`), noisy(random, intentLabels, intent)];
}
