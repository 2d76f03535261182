create or replace function postroad.message_json(
  message_id uuid,
  in_flight  uuid[] default null
)
returns jsonb
language sql
stable
as $$
  select jsonb_build_object('message_id', m.message_id, 'status', s.status, 'channel', m.channel, 'priority', 'P' || m.priority,
    'message_type', m.message_type, 'recipient', m.recipient, 'tenant_id', m.tenant_id, 'recipient_type', m.recipient_type,
    'recipient_id', m.recipient_id, 'source_type', m.source_type, 'source_id', m.source_id, 'batch_id', m.batch_id,
    'attempts', s.attempts, 'created_at', s.created_at, 'due_at', nullif(s.due_at, 'infinity'), 'sent_at', s.sent_at,
    'delivered_at', s.delivered_at, 'updated_at', s.updated_at, 'gateway', s.gateway, 'external_id', s.external_id, 'reason', s.reason,
    'error', s.error)
  from postroad.record_of(message_json.message_id) as m, postroad.status_of(message_json.message_id, in_flight) as s
$$;

comment on function postroad.message_json is 
'A message as the HTTP API shows it: its record, without content, and where it is; null when it is not there for this caller. in_flight: see place_of.';

create or replace function postroad.message_response()
returns jsonb
language sql
immutable
as $$
  select $q${
    "type": "object",
    "required": ["message_id", "status", "channel", "priority", "message_type", "recipient", "attempts", "created_at"],
    "properties": {
      "message_id": {"type": "string", "format": "uuid"},
      "status": {"type": "string", "enum": ["scheduled", "queued", "processing", "sent", "delivered", "bounced", "failed", "cancelled", "expired", "suppressed", "unknown"]},
      "channel": {"type": "string"},
      "priority": {"type": "string", "enum": ["P0", "P1", "P2", "P3", "P4"]},
      "message_type": {"type": "string"},
      "recipient": {"type": "string"},
      "tenant_id": {"type": ["integer", "null"]},
      "recipient_type": {"type": ["string", "null"]},
      "recipient_id": {"type": ["integer", "null"]},
      "source_type": {"type": ["string", "null"]},
      "source_id": {"type": ["integer", "null"]},
      "batch_id": {"type": ["string", "null"], "format": "uuid"},
      "attempts": {"type": "integer"},
      "created_at": {"type": "string", "format": "date-time"},
      "due_at": {"type": ["string", "null"], "format": "date-time"},
      "sent_at": {"type": ["string", "null"], "format": "date-time"},
      "delivered_at": {"type": ["string", "null"], "format": "date-time"},
      "updated_at": {"type": ["string", "null"], "format": "date-time"},
      "gateway": {"type": ["string", "null"]},
      "external_id": {"type": ["string", "null"]},
      "reason": {"type": ["string", "null"]},
      "error": {"type": ["string", "null"]}
    }
  }$q$::jsonb
$$;

comment on function postroad.message_response is 'The JSON Schema of message_json.';

create or replace function postroad.no_such_message()
returns jsonb
language sql
immutable
as $$
  select postroad.problem(404, 'not_found', 'There is no such message.')
$$;

comment on function postroad.no_such_message is 'The answer to whoever asks for a message that is not there, or not theirs.';
