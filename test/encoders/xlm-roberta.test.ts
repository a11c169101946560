import { describeFamily } from "./reference";

describeFamily("xlm-roberta");
