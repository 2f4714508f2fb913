"""ReAct: a model without tool calling that says in words which tool it wants.

`prompt.py` writes the form that it shall keep and the conversation in that form; `marks.py`,
`sections.py`, `action.py` and `arguments.py` read its answer as it comes, put together by
`reader.py`; `model.py` is both around a model.

The form is that of Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models"
(arXiv:2210.03629), with the `Action Input:` and `Final Answer:` of LangChain's agents, which most
models have read more of.
"""
