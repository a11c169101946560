import { describeFamily } from "./reference";

describeFamily("distilbert");
