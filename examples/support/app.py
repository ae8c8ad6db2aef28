"""The application: reads a customer's ticket, says what it is about, and answers it. In two versions of its prompt."""

import os

from openai import AsyncOpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
client = AsyncOpenAI()  # key and endpoint from OPENAI_API_KEY and OPENAI_BASE_URL

PROMPT_1 = "A customer writes to our shop. Say in one word what it is about, and on the next line answer in a sentence."
PROMPT_2 = """A customer writes to our shop. Your first line is one of these words:
billing (charges, invoices, vouchers), shipping (parcels on their way to the customer), returns (sending back,
refunds, replacements), account (signing in, data), bug (the app or the website does not work).
On the next line, answer in a sentence that takes up what the customer asks."""


async def ask(prompt, ticket):
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": ticket}]
    said = await client.chat.completions.create(model=MODEL, messages=messages, temperature=0)
    intent, _, reply = said.choices[0].message.content.partition("\n")
    return {"intent": intent.strip(" .").lower(), "reply": reply.strip()}


async def v1(input):
    return await ask(PROMPT_1, input["text"])


async def v2(input):
    return await ask(PROMPT_2, input["text"])
