-- What follows from events: who is suppressed by them and by which rule, what could not be placed, and messages that come in.

create table postroad.suppression_rules (
  reason        text not null,
  is_on         boolean not null default true,
  after         integer not null default 1,
  within        interval,
  expires_after interval,
  every_channel boolean not null default false,
  every_tenant  boolean not null default true,
  constraint suppression_rules_pkey primary key (reason),
  constraint after_is_positive check (after between 1 and 1000),
  constraint within_is_positive check (within > '0'),
  constraint expires_after_is_positive check (expires_after > '0')
);
comment on table postroad.suppression_rules is 'Which events suppress a recipient, and for how long: see set_suppression_rule.';
comment on column postroad.suppression_rules.after is 'So many messages with such an event suppress.';
comment on column postroad.suppression_rules.within is 'Only events this young count; null: since the last delivery.';
comment on column postroad.suppression_rules.expires_after is 'Null: for good.';
comment on column postroad.suppression_rules.every_tenant is 'False: the tenant of the message only.';
insert into postroad.suppression_rules (reason, after, within, expires_after, every_tenant)
values
  ('hard_bounce', 1, null, null, true),
  ('soft_bounce', 3, interval '30 days', interval '30 days', true),
  ('invalid_token', 1, null, null, true),
  ('complaint', 1, null, null, true),
  ('unsubscribe', 1, null, null, false),
  ('stop', 1, null, null, true),
  ('opted_out', 1, null, null, true);

create table postroad.suppression_strikes (
  address     text collate "C" not null,
  channel     text collate "C" not null,
  reason      text not null,
  message_id  uuid not null,
  occurred_at timestamptz not null,
  constraint suppression_strikes_pkey primary key (address, channel, reason, message_id)
);
comment on table postroad.suppression_strikes is
'Events that count towards a rule with after above 1, one a message. A delivery takes those of bounces away.';
create index suppression_strikes_occurred_at on postroad.suppression_strikes using brin (occurred_at);
comment on index postroad.suppression_strikes_occurred_at is 'purge_reports';

alter table postroad.suppression_list add column message_id uuid;
comment on column postroad.suppression_list.created_at is 'Since when: the time of the event, where an event did it.';
comment on column postroad.suppression_list.reason is 'legal, complaint, manual, hard_bounce, soft_bounce, invalid_token, unsubscribe, stop, opted_out, or an operator''s own.';
comment on column postroad.suppression_list.source is 'Who did it: a role, a file, the gateway that reported the event.';
comment on column postroad.suppression_list.event_id is 'The event that did it, of message_id.';

create table postroad.inbound_messages (
  message_id  uuid not null,
  gateway     text collate "C" not null,
  source_key  text collate "C",
  received_at timestamptz not null default clock_timestamp(),
  constraint inbound_messages_pkey primary key (message_id),
  constraint inbound_messages_are_unique unique (gateway, source_key)
);
comment on table postroad.inbound_messages is
'Ids under which events of people are kept that name no message of ours: inbound messages, and complaints and wishes without one.';
create index inbound_messages_received_at on postroad.inbound_messages using brin (received_at);
comment on index postroad.inbound_messages_received_at is 'purge_reports';

create table postroad.unplaced_events (
  count_id   bigint generated always as identity,
  day        date not null,
  gateway    text collate "C" not null,
  cause      text not null,
  events     bigint not null,
  last_at    timestamptz not null,
  last_event jsonb,
  constraint unplaced_events_pkey primary key (count_id)
) with (fillfactor = 50);
comment on table postroad.unplaced_events is
'Reported events that were left out, counted by day, gateway and cause, with the last of each; a row for each call at a time, so that none waits: see left_out_events.';
create index unplaced_events_day on postroad.unplaced_events (day, gateway, cause);
comment on index postroad.unplaced_events_day is 'leave_out';

create table postroad.sms_replies (
  wish text not null,
  body text not null,
  constraint sms_replies_pkey primary key (wish),
  constraint wish_is_known check (wish in ('help', 'start'))
);
comment on table postroad.sms_replies is 'What is answered to HELP and START: see set_sms_reply.';

-- OVH reports by its own id only; every other gateway gives ours back. A gateway like it has a name that begins with ovh. The rest pays a comparison.
create index delivery_events_external on postroad.delivery_events (external_id)
where event_type = 'sent' and gateway >= 'ovh' and gateway < 'ovi';
comment on index postroad.delivery_events_external is 'record_events: the message of a provider''s id';
