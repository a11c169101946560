import { describeFamily } from "./reference";

describeFamily("roberta");
