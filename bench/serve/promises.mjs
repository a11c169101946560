// What a bench promises, one line each as it is found, and the exit code.
export function promises() {
  let broken = 0;
  return {
    promise(what, holds) {
      if (!holds) broken++;
      console.log(`  ${holds ? "holds " : "BROKEN"} ${what}`);
    },
    end() {
      process.exit(broken > 0 ? 1 : 0);
    },
  };
}
