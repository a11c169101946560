// Wheels whose libraries run without Python: which Python's wheel it is does not matter.

import { NoWheelError, type PipContext, resolveWheels, type Wheel, type WheelTag } from "./pip";
import { wheelPlatforms } from "./platform";

/**
 * The library inside is the same for every Python, and Python does not run it: any tag that exists will do. 3.12 first, so
 * that all users get the same file; then the user's own, which an index of their own may hold alone; then `others`.
 * Where no tag has one, the versions that the index has.
 */
export async function resolveForAnyPython(
  requirement: string,
  others: readonly string[],
  context: PipContext,
): Promise<{ readonly wheel: Wheel; readonly tag: WheelTag } | { readonly versions: readonly string[] }> {
  const known = new Set<string>();
  for (const candidate of new Set(["3.12", context.python.version.join("."), ...others])) {
    const tag: WheelTag = { python: candidate, platforms: wheelPlatforms() };
    try {
      const [wheel] = await resolveWheels([requirement], tag, context);
      if (wheel) return { wheel, tag };
    } catch (error) {
      if (!(error instanceof NoWheelError)) throw error;
      for (const other of error.versions) known.add(other);
    }
  }
  return { versions: [...known] };
}
