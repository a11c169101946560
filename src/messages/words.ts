// Numbers with their nouns.

/** "1 layer", "3 layers". */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
