import { describeFamily } from "./reference";

describeFamily("modernbert");
