create or replace function postroad.endpoint_schema()
returns jsonb
language sql
immutable
as $$
  select $q${
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "url": {"type": "string", "minLength": 1, "maxLength": 2048},
      "event_types": {"type": ["array", "null"], "minItems": 1, "maxItems": 50, "description": "message.* by default.",
        "items": {"type": "string", "pattern": "^(message\\.(\\*|queued|sent|deferred|delivered|opened|clicked|converted|bounced|complained|unsubscribed|failed|expired|cancelled|suppressed|unknown|received)|system\\.(\\*|[a-z][a-z0-9_]*))$"}},
      "channels": {"type": ["array", "null"], "minItems": 1, "maxItems": 6,
        "items": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]}},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "Events of this tenant only."},
      "include_addresses": {"type": ["boolean", "null"]},
      "description": {"type": ["string", "null"], "maxLength": 1000}
    }
  }$q$::jsonb
$$;

comment on function postroad.endpoint_schema is 'What POST /webhook-endpoints takes, as JSON Schema; postroad.add_webhook_endpoint says more of each field.';
