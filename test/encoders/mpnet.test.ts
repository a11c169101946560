import { describeFamily } from "./reference";

describeFamily("mpnet");
