// Python's pickles (pickletools.py describes the format) as PyTorch writes them, without Python: plain values, and what
// the caller's rules make of the few globals that they allow. Nothing else is looked up, imported or called, and a pickle
// that asks for it is refused by that name. The machine is a loop over a stack: a hostile pickle costs no more than its
// bytes, in memory and time, because counts are held to what is left of them and values are never walked.
// Left out on purpose: protocol 0's text forms and sets, which no weights have.

import { printable } from "../../errors/printable";

/** A tuple and a list are both an array, a dictionary of either kind is a Map. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickleFunction
  | PickleObject;

/** Called with the arguments that the pickle gives. Throws {@link PickleError}. */
export type PickleFunction = (args: readonly PickleValue[]) => PickleValue;

/** What the rules make, opaque to the machine. */
export interface PickleObject {
  readonly kind: string;
}

export interface PickleRules {
  /** What a global stands for, by its full name; undefined refuses it. */
  readonly global: (name: string) => PickleFunction | PickleObject | undefined;
  /** The object that a persistent id stands for. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

/** What is wrong with a pickle, or what it asks for that it does not get; the caller names the file. */
export class PickleError extends Error {
  /** The global that the pickle asks for, where that is what is wrong. */
  readonly global: string | undefined;

  constructor(message: string, global?: string) {
    super(message);
    this.name = "PickleError";
    this.global = global;
  }
}

/** In bytes. That of a BERT of 24 layers has 60 kB, in some 20,000 operations. */
export const LARGEST_PICKLE = 2 ** 24;
const MOST_OPERATIONS = 2_000_000;

/** Of an integer; PyTorch's magic number has 10. */
const MOST_INTEGER_BYTES = 16;

/**
 * Reads one pickle from `start` on. Throws {@link PickleError} where it is damaged or asks for more than the rules allow.
 * @returns its value, and where it ends: a file may hold several
 */
export function readPickle(bytes: Uint8Array, start: number, rules: PickleRules): { value: PickleValue; end: number } {
  const machine = new Machine(bytes, start, rules);
  for (let count = 0; count < MOST_OPERATIONS; count++) {
    const code = machine.code();
    if (code === STOP) return { value: machine.pop(), end: machine.at };
    const operation = operations[code];
    if (!operation) throw new PickleError(`byte ${machine.at - 1} is no operation that weights need (${code})`);
    operation(machine);
  }
  throw new PickleError(`it has more than ${MOST_OPERATIONS} operations, a BERT's weights some 20,000`);
}

const STOP = 0x2e;

class Machine {
  at: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  readonly rules: PickleRules;
  private readonly stack: PickleValue[] = [];
  /** Lengths of the stack at the marks. */
  private readonly marks: number[] = [];
  readonly memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array, start: number, rules: PickleRules) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.rules = rules;
  }

  code(): number {
    const code = this.bytes[this.at++];
    if (code === undefined) throw new PickleError("it is cut off");
    return code;
  }

  /** The next `count` bytes, of which a pickle may claim any number. */
  take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) {
      throw new PickleError(
        `it claims ${count} bytes at byte ${this.at}, where ${this.bytes.length - this.at} are left`,
      );
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  unsigned(width: 1 | 2 | 4 | 8): number {
    const from = this.at;
    this.take(width);
    if (width === 1) return this.view.getUint8(from);
    if (width === 2) return this.view.getUint16(from, true);
    return width === 4 ? this.view.getUint32(from, true) : Number(this.view.getBigUint64(from, true));
  }

  signed(): number {
    this.take(4);
    return this.view.getInt32(this.at - 4, true);
  }

  double(): number {
    this.take(8);
    return this.view.getFloat64(this.at - 8); // big-endian, alone among pickle's numbers
  }

  /** Two's complement of `count` bytes. */
  integer(count: number): number | bigint {
    if (count > MOST_INTEGER_BYTES) throw new PickleError(`it holds an integer of ${count} bytes`);
    let value = 0n;
    for (const [i, byte] of this.take(count).entries()) value |= BigInt(byte) << BigInt(8 * i);
    const signed = BigInt.asIntN(8 * count, value);
    return signed === BigInt(Number(signed)) && Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  text(count: number): string {
    return new TextDecoder().decode(this.take(count));
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new PickleError("it is cut off within a name");
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw new PickleError("it takes a value from an empty stack");
    return this.stack.pop() as PickleValue;
  }

  top(): PickleValue {
    const value = this.pop();
    this.stack.push(value);
    return value;
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  /** The values above the topmost mark, which goes with them. */
  popMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new PickleError("it goes back to a mark that it has not set");
    return this.stack.splice(mark);
  }

  global(module: string, name: string): PickleFunction | PickleObject {
    const full = `${module}.${name}`;
    const found = this.rules.global(full);
    if (!found) throw new PickleError(`it asks for ${printable(full)}`, printable(full));
    return found;
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw new PickleError(`it recalls the value ${index}, which it has not kept`);
    this.push(value);
  }
}

type Operation = (machine: Machine) => void;

const pushing =
  (read: (machine: Machine) => PickleValue): Operation =>
  (machine) =>
    machine.push(read(machine));

const dictionary = (machine: Machine): Map<PickleValue, PickleValue> => {
  const value = machine.top();
  if (!(value instanceof Map)) throw new PickleError("it sets a member of what is no dictionary");
  return value;
};

function setItems(target: Map<PickleValue, PickleValue>, items: readonly PickleValue[]): void {
  if (items.length % 2 !== 0) throw new PickleError("it sets a member without a value");
  for (let i = 0; i < items.length; i += 2) target.set(items[i] as PickleValue, items[i + 1] as PickleValue);
}

function append(machine: Machine, items: readonly PickleValue[]): void {
  const list = machine.top();
  if (!Array.isArray(list)) throw new PickleError("it appends to what is no list");
  for (const item of items) list.push(item);
}

const tuple = (count: number): Operation =>
  pushing((machine) => Array.from({ length: count }, () => machine.pop()).reverse());

function reduce(machine: Machine): void {
  const args = machine.pop();
  const called = machine.pop();
  if (typeof called !== "function" || !Array.isArray(args)) throw new PickleError("it calls what is no function");
  machine.push(called(args));
}

/** An ordered dictionary's own attributes, such as a state_dict's _metadata, are nothing that weights need. */
function build(machine: Machine): void {
  machine.pop();
  if (!(machine.top() instanceof Map)) throw new PickleError("it sets the state of what is no dictionary");
}

function instance(machine: Machine): void {
  machine.global(machine.line(), machine.line());
  throw new PickleError("it makes an object of a class");
}

const refused =
  (what: string): Operation =>
  () => {
    throw new PickleError(`it ${what}`);
  };

/** By the code of pickletools.py, whose names the comments give. */
const operations: Readonly<Record<number, Operation>> = {
  128: (machine) => {
    const protocol = machine.unsigned(1); // PROTO
    if (protocol > 5) throw new PickleError(`it is of protocol ${protocol}; the newest known is 5`);
  },
  149: (machine) => void machine.unsigned(8), // FRAME: its bytes follow, and are held to the end one by one
  40: (machine) => machine.mark(), // MARK
  48: (machine) => void machine.pop(), // POP
  49: (machine) => void machine.popMark(), // POP_MARK
  50: (machine) => machine.push(machine.top()), // DUP
  78: pushing(() => null), // NONE
  136: pushing(() => true), // NEWTRUE
  137: pushing(() => false), // NEWFALSE
  74: pushing((machine) => machine.signed()), // BININT
  75: pushing((machine) => machine.unsigned(1)), // BININT1
  77: pushing((machine) => machine.unsigned(2)), // BININT2
  138: pushing((machine) => machine.integer(machine.unsigned(1))), // LONG1
  139: pushing((machine) => machine.integer(machine.unsigned(4))), // LONG4
  71: pushing((machine) => machine.double()), // BINFLOAT
  88: pushing((machine) => machine.text(machine.unsigned(4))), // BINUNICODE
  140: pushing((machine) => machine.text(machine.unsigned(1))), // SHORT_BINUNICODE
  141: pushing((machine) => machine.text(machine.unsigned(8))), // BINUNICODE8
  84: pushing((machine) => machine.text(machine.unsigned(4))), // BINSTRING, of Python 2
  85: pushing((machine) => machine.text(machine.unsigned(1))), // SHORT_BINSTRING
  66: pushing((machine) => machine.take(machine.unsigned(4))), // BINBYTES
  67: pushing((machine) => machine.take(machine.unsigned(1))), // SHORT_BINBYTES
  142: pushing((machine) => machine.take(machine.unsigned(8))), // BINBYTES8
  93: pushing(() => []), // EMPTY_LIST
  108: pushing((machine) => machine.popMark()), // LIST
  97: (machine) => {
    const item = machine.pop(); // APPEND
    append(machine, [item]);
  },
  101: (machine) => append(machine, machine.popMark()), // APPENDS
  41: pushing(() => []), // EMPTY_TUPLE
  116: pushing((machine) => machine.popMark()), // TUPLE
  133: tuple(1), // TUPLE1
  134: tuple(2), // TUPLE2
  135: tuple(3), // TUPLE3
  125: pushing(() => new Map()), // EMPTY_DICT
  100: (machine) => {
    const items = machine.popMark(); // DICT
    const made = new Map<PickleValue, PickleValue>();
    setItems(made, items);
    machine.push(made);
  },
  115: (machine) => {
    const [value, key] = [machine.pop(), machine.pop()]; // SETITEM
    dictionary(machine).set(key, value);
  },
  117: (machine) => {
    const items = machine.popMark(); // SETITEMS
    setItems(dictionary(machine), items);
  },
  113: (machine) => machine.remember(machine.unsigned(1)), // BINPUT
  114: (machine) => machine.remember(machine.unsigned(4)), // LONG_BINPUT
  148: (machine) => machine.remember(machine.memo.size), // MEMOIZE
  104: (machine) => machine.recall(machine.unsigned(1)), // BINGET
  106: (machine) => machine.recall(machine.unsigned(4)), // LONG_BINGET
  99: pushing((machine) => machine.global(machine.line(), machine.line())), // GLOBAL
  147: (machine) => {
    const [name, module] = [machine.pop(), machine.pop()]; // STACK_GLOBAL
    if (typeof name !== "string" || typeof module !== "string") throw new PickleError("it asks for what has no name");
    machine.push(machine.global(module, name));
  },
  82: reduce, // REDUCE
  98: build, // BUILD
  81: pushing((machine) => machine.rules.persistent(machine.pop())), // BINPERSID
  105: instance, // INST
  111: refused("makes an object of a class"), // OBJ
  129: refused("makes an object of a class"), // NEWOBJ
  146: refused("makes an object of a class"), // NEWOBJ_EX
  130: refused("asks for a registered extension"), // EXT1
  131: refused("asks for a registered extension"), // EXT2
  132: refused("asks for a registered extension"), // EXT4
  151: refused("asks for a buffer that lies elsewhere"), // NEXT_BUFFER
};
