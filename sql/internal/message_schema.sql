create or replace function postroad.message_schema()
returns jsonb
language sql
immutable
as $$
  select $q${
    "type": "object",
    "additionalProperties": false,
    "required": ["channel"],
    "properties": {
      "channel": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]},
      "recipient": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "An address, an E.164 number, a token, a user or a URL, as the channel wants it."},
      "subject": {"type": ["string", "null"], "maxLength": 998},
      "body": {"type": ["string", "null"], "description": "Plain text."},
      "html": {"type": ["string", "null"], "description": "Email only."},
      "template": {"type": ["string", "null"], "maxLength": 200},
      "data": {"type": ["object", "null"]},
      "locale": {"type": ["string", "null"], "maxLength": 35},
      "message_type": {"type": "string", "enum": ["emergency", "alert", "newsletter", "campaign", "transactional"]},
      "priority": {"type": ["string", "null"], "enum": ["P0", "P1", "P2", "P3", "P4", null]},
      "scheduled_for": {"type": ["string", "null"], "format": "date-time"},
      "expires_at": {"type": ["string", "null"], "format": "date-time"},
      "idempotency_key": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "description": "Of the message, kept 7 days; beside the header, which is of the call."},
      "recipient_type": {"type": ["string", "null"], "maxLength": 255},
      "recipient_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
      "source_type": {"type": ["string", "null"], "maxLength": 255},
      "source_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
      "tenant_id": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "The caller's, when it is bound to one."},
      "ip_pool": {"type": ["string", "null"], "maxLength": 255},
      "gateway": {"type": ["string", "null"], "maxLength": 255},
      "options": {"type": ["object", "null"], "description": "from, reply_to, cc, bcc, headers, tags, attachments, on_unknown, max_attempts, push, sms, voice."}
    }
  }$q$::jsonb
$$;

comment on function postroad.message_schema is 'What POST /messages takes, as JSON Schema; postroad.enqueue says more of each field.';
