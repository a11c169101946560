import { describeFamily } from "./reference";

describeFamily("electra");
