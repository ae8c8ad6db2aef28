"""What is a good answer: the right intent, and a reply that a judge finds to the point."""

import os

from phoenix.evals import LLM, create_classifier


def right_intent(output, expected):
    return output["intent"] == expected["intent"]


to_the_point = create_classifier(
    name="to_the_point",
    llm=LLM(provider="openai", model=os.environ.get("OPENAI_JUDGE_MODEL", "gpt-4o-mini")),
    prompt_template="""Does the reply take up what the customer asks?
<ticket>{{input.text}}</ticket>
<reply>{{output.reply}}</reply>""",
    choices={"to the point": 1, "beside the point": 0},
)
