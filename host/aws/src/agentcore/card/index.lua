-- Changes an index on what was read of a card, unless the card has changed since.
-- KEYS: card, index. ARGV: version, change, score or value, member. Answers 1 when it was changed.
local card = redis.call('HMGET', KEYS[1], 'v', 'r')
if card[1] ~= ARGV[1] or card[2] ~= history() then
  return 0
end
if ARGV[2] == 'remove' then
  redis.call('ZREM', KEYS[2], ARGV[4])
elseif ARGV[2] == 'keep' then
  redis.call('HSET', KEYS[2], ARGV[4], ARGV[3])
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
end
return 1
