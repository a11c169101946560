// What a process needs to find Vulkan on a machine that lacks its parts, out of a package's vulkan/ folder (pack.mjs): the loader, what
// NVIDIA's driver links to, and the file that names that driver to the loader.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";

/** Where the loader looks by itself; a container often has the driver's libraries and no such file. */
const manifestFolders = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/**
 * Variables for the environment of processes; what is set already stays.
 * @param links a folder that is made anew, for links to the libraries that the machine lacks: those that it has come first
 */
export function vulkanEnvironment(folder, links) {
  if (!existsSync(folder)) return {};
  const found = {};
  const known = libraries();
  const lacking = readdirSync(folder).filter((file) => /\.so\.\d+$/.test(file) && !known.includes(`\t${file} `));
  if (lacking.length > 0) {
    rmSync(links, { recursive: true, force: true });
    mkdirSync(links, { recursive: true });
    for (const file of lacking) symlinkSync(path.resolve(folder, file), path.join(links, file));
    found.LD_LIBRARY_PATH = [process.env.LD_LIBRARY_PATH, path.resolve(links)].filter(Boolean).join(path.delimiter);
  }
  const named = manifestFolders.some(
    (from) => existsSync(from) && readdirSync(from).some((file) => file.includes("nvidia")),
  );
  const manifest = path.join(folder, "nvidia_icd.json");
  const driver = known.includes("\tlibGLX_nvidia.so.0 ");
  if (!process.env.VK_DRIVER_FILES && !named && driver && existsSync(manifest)) found.VK_DRIVER_FILES = manifest;
  return found;
}

/** The dynamic loader's list, a library a line; empty where there is none to ask. */
function libraries() {
  for (const program of ["ldconfig", "/sbin/ldconfig"]) {
    try {
      return execFileSync(program, ["-p"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch {}
  }
  return "";
}
