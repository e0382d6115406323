-- Writes what a stream's end is into its card and its indexes, unless the card knows of a later one.
-- KEYS: card, write, floor of versions, then one for each change of an index. ARGV: token of the lease or '', version, head,
-- keep in ms, remembered since ms, most remembered, digest of the write or '', remember it in ms, what another side had come to
-- or 0, '1' when an event could land that is displaced now, number of applied writes, these as name and value, then for each
-- index: change, score or value, member.
-- Answers 1, or 0 when a token was given and the lease is no longer its own.
local card, token, version = KEYS[1], ARGV[1], tonumber(ARGV[2])
if token ~= '' and redis.call('HGET', card, 'l') ~= token then
  return 0
end
local known = redis.call('HGET', card, 'v')
if redis.call('HGET', card, 'r') ~= history() then
  -- What the card says is of another history of data, and what is said now was read from the stream.
  known = false
  redis.call('HSET', card, 'r', history())
end
if token == '' and not known then
  -- A reader does not know whether what it read may still be displaced: the next writer reads it again.
  redis.call('HSETNX', card, 'u', '0')
end
local later = known and tonumber(known) > version
if ARGV[7] ~= '' then
  redis.call('SET', KEYS[2], ARGV[7], 'PX', ARGV[8])
end
local floor = redis.call('GET', KEYS[3])
if tonumber(ARGV[9]) > tonumber(floor or '0') then
  redis.call('SET', KEYS[3], ARGV[9], 'PX', ARGV[4])
end
local at = 12
local writes = tonumber(ARGV[11])
-- Writes that only the stream told of.
local learned = 0
for n = 1, writes do
  -- The last one is what was written just now, and may stand otherwise than before.
  if n == writes and ARGV[7] ~= '' then
    redis.call('HSET', card, 'a:' .. ARGV[at], ARGV[at + 1])
  else
    learned = learned + redis.call('HSETNX', card, 'a:' .. ARGV[at], ARGV[at + 1])
  end
  at = at + 2
end
if not later then
  redis.call('HSET', card, 'h', ARGV[3], 'v', ARGV[2])
  local last = redis.call('HGET', card, 'n')
  if not last or tonumber(last) < version then
    redis.call('HSET', card, 'n', ARGV[2])
  end
  for n = 4, #KEYS do
    local change, score, member = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    at = at + 3
    if change == 'begin' then
      redis.call('ZADD', KEYS[n], 0, '\0ready:' .. history())
    elseif change == 'drop' then
      redis.call('DEL', KEYS[n])
    elseif change == 'doubt' then
      if learned > 0 or ARGV[10] == '1' then
        -- The marks, also of those who build it now. Its members stay: a listing of AgentCore may not have the latest yet.
        redis.call('ZREMRANGEBYSCORE', KEYS[n], 0, 0)
      end
    elseif change == 'remove' then
      redis.call('ZREM', KEYS[n], member)
    elseif change == 'keep' then
      redis.call('HSET', KEYS[n], member, score)
    elseif change == 'forget' then
      redis.call('HDEL', KEYS[n], member)
    elseif redis.call('EXISTS', KEYS[n]) == 1 then
      -- What does not exist is built from the streams when it is asked for, so a part of it would only be in the way.
      redis.call('ZADD', KEYS[n], score, member)
    end
    redis.call('PEXPIRE', KEYS[n], ARGV[4])
  end
end
if token ~= '' then
  redis.call('HDEL', card, 'l', 'u')
end
redis.call('PEXPIRE', card, ARGV[4])
local most = tonumber(ARGV[6])
if redis.call('HLEN', card) > most + math.floor(most / 8) then
  local fields = redis.call('HGETALL', card)
  local kept = {}
  for n = 1, #fields, 2 do
    if string.sub(fields[n], 1, 2) == 'a:' then
      local millis = tonumber(string.sub(fields[n + 1], 1, (string.find(fields[n + 1], '|', 1, true)) - 1))
      if millis < tonumber(ARGV[5]) then
        redis.call('HDEL', card, fields[n])
      else
        kept[#kept + 1] = {millis, fields[n]}
      end
    end
  end
  table.sort(kept, function(one, other) return one[1] < other[1] end)
  for n = 1, #kept - most do
    redis.call('HDEL', card, kept[n][2])
  end
end
return 1
