// The platform of this machine, as folders of builds and as wheels name it.

export const thisPlatform = () => `${process.platform}-${process.arch}`;

/** Newest first, down to the oldest that manylinux names by glibc, and its old alias. */
export function wheelPlatforms(): string[] {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const minors = Array.from({ length: Math.max(0, (glibcMinor() ?? 17) - 16) }, (_, i) => 17 + i).reverse();
  return [...minors.map((minor) => `manylinux_2_${minor}_${machine}`), `manylinux2014_${machine}`];
}

/** 36 for glibc 2.36; null on another C library. */
export function glibcMinor(): number | null {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return Number(/^2\.(\d+)/.exec(header.glibcVersionRuntime ?? "")?.[1] ?? Number.NaN) || null;
}
