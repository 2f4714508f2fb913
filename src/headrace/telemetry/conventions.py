"""Names of OpenTelemetry's conventions for generative AI, as far as they are used here.

From https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/: gen-ai-spans.md,
gen-ai-agent-spans.md, gen-ai-metrics.md), status: development. Our own constants, because the
packaged ones are deprecated: the conventions have moved to that repository. What begins with
``headrace.`` is no part of them.
"""

from __future__ import annotations

SCOPE = "headrace"
"""The instrumentation's name."""

# Operations: the values of `gen_ai.operation.name`, with which names of spans begin.
CHAT = "chat"
EXECUTE_TOOL = "execute_tool"
INVOKE_AGENT = "invoke_agent"

# Attributes
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - no secret
CONVERSATION = "gen_ai.conversation.id"
AGENT_NAME = "gen_ai.agent.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
ERROR_TYPE = "error.type"

# Attributes with what people, models and tools say: opt-in.
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

# Attributes and an event of our own
RUN_ID = "headrace.run.id"
RUN_LOST = "headrace.run.lost"
USAGE_ESTIMATED = "headrace.usage.estimated"
WARNING = "headrace.warning"
WARNING_CODE = "headrace.warning.code"
REASON = "headrace.retract.reason"

# Metrics
OPERATION_DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - no secret
AGENT_DURATION = "gen_ai.invoke_agent.duration"
TOOL_DURATION = "gen_ai.execute_tool.duration"
RUNS_LIVE = "headrace.runs.live"
RETRIES = "headrace.retries"
RETRACTS = "headrace.retracts"

SECONDS = tuple(round(0.01 * 2**power, 2) for power in range(14))
"""Boundaries of durations of model calls and tools, in seconds: 0.01 to 81.92."""

AGENT_SECONDS = tuple(round(0.1 * 2**power, 1) for power in range(13))
"""Boundaries of durations of agents, in seconds: 0.1 to 409.6."""

TOKENS = tuple(4**power for power in range(14))
"""Boundaries of token counts: 1 to 67,108,864."""

PROVIDERS = {
    "openai-responses": "openai",
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Well-known values of `gen_ai.provider.name` that differ from our names."""

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Variables that say where to send to (OpenTelemetry, OTLP exporter configuration)."""
