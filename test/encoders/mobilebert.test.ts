import { describeFamily } from "./reference";

describeFamily("mobilebert");
