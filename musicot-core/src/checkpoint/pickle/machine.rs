//! The stack machine that a pickle is a program for.

use std::collections::HashMap;

use super::archive::Archive;
use super::globals::{self, Global};
use super::input::Input;
use super::value::{Bytes, Heap, Value};
use super::view::Storage;
use super::{Parsed, limits, opcode};

/// Bytes of the module or the name of a global.
const NAME_BYTES: usize = 256;

/// A pickle, and the values that it has made so far. `'a` is the file's, `'f` the archive's.
pub(super) struct Machine<'f, 'a> {
    archive: &'f Archive<'a>,
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack where groups of values begin.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    pub(super) heap: Heap<'a>,
}

impl<'f, 'a> Machine<'f, 'a> {
    pub(super) fn new(archive: &'f Archive<'a>) -> Self {
        let input = Input::new(archive.pickle());
        let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
        Self { archive, input, stack, marks, memo, heap: Heap::default() }
    }

    /// The object that the pickle makes, and what it refers to.
    pub(super) fn run(mut self) -> Parsed<(Value<'a>, Heap<'a>)> {
        for _ in 0..limits::OPCODES {
            let at = self.input.position();
            let step = self.input.u8().and_then(|code| match code {
                opcode::STOP => self.result().map(Some),
                _ => self.step(code).map(|()| None),
            });
            if let Some(top) = step.map_err(|reason| format!("byte {at}: {reason}"))? {
                return Ok((top, self.heap));
            }
        }
        Err(format!("expected {} opcodes at most", limits::OPCODES))
    }

    fn result(&mut self) -> Parsed<Value<'a>> {
        let top = self.pop()?;
        if self.stack.is_empty() && self.marks.is_empty() {
            return Ok(top);
        }
        Err("ends with several values, expected one".to_owned())
    }

    fn step(&mut self, code: u8) -> Parsed<()> {
        match code {
            opcode::PROTO => self.protocol(),
            // Frames only help those who read from a stream.
            opcode::FRAME => self.input.u64().map(drop),
            opcode::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            opcode::MEMOIZE | opcode::BINPUT | opcode::LONG_BINPUT => self.remember(code),
            opcode::APPEND | opcode::APPENDS => self.append(code),
            opcode::SETITEM | opcode::SETITEMS => self.set_items(code),
            opcode::BUILD => {
                let state = self.pop()?;
                self.build(self.peek()?, state)
            }
            _ => {
                let value = self.value(code)?;
                self.stack.push(value);
                Ok(())
            }
        }
    }

    fn protocol(&mut self) -> Parsed<()> {
        match self.input.u8()? {
            2..=5 => Ok(()),
            other => Err(format!("expected pickle protocol 2 to 5, got {other}")),
        }
    }

    fn remember(&mut self, code: u8) -> Parsed<()> {
        let key = match code {
            opcode::BINPUT => self.input.u8()?.into(),
            opcode::LONG_BINPUT => self.input.u32()? as usize,
            _ => self.memo.len(),
        };
        let value = self.peek()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Parsed<Value<'a>> {
        let key = if code == opcode::BINGET { self.input.u8()?.into() } else { self.input.u32()? as usize };
        self.memo.get(&key).copied().ok_or_else(|| format!("nothing is memoised as {key}"))
    }

    fn append(&mut self, code: u8) -> Parsed<()> {
        let items = self.items(code == opcode::APPENDS, 1)?;
        let list = self.peek()?;
        self.heap.list_mut(list)?.extend(items);
        Ok(())
    }

    fn set_items(&mut self, code: u8) -> Parsed<()> {
        let items = self.items(code == opcode::SETITEMS, 2)?;
        let dict = self.peek()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key of a dict has no value".to_owned());
        }
        self.heap.dict_mut(dict)?.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    /// Opcodes that put one value onto the stack, in the place of those that it is made of.
    fn value(&mut self, code: u8) -> Parsed<Value<'a>> {
        match code {
            opcode::BINGET | opcode::LONG_BINGET => self.recall(code),
            opcode::EMPTY_LIST => Ok(self.heap.add_list(Vec::new())),
            opcode::EMPTY_DICT => Ok(self.heap.add_dict()),
            opcode::EMPTY_TUPLE => self.tuple(false, 0),
            opcode::TUPLE => self.tuple(true, 0),
            opcode::TUPLE1 => self.tuple(false, 1),
            opcode::TUPLE2 => self.tuple(false, 2),
            opcode::TUPLE3 => self.tuple(false, 3),
            opcode::GLOBAL => {
                let module = self.input.line(NAME_BYTES)?;
                globals::resolve(module, self.input.line(NAME_BYTES)?)
            }
            opcode::STACK_GLOBAL => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => globals::resolve(module, name),
                (name, _) => Err(format!("expected the name of a global, got {}", name.what())),
            },
            opcode::REDUCE => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.call(function, arguments)
            }
            opcode::BINPERSID => {
                let id = self.pop()?;
                self.storage(id)
            }
            _ => self.literal(code),
        }
    }

    /// Opcodes whose value stands behind them.
    fn literal(&mut self, code: u8) -> Parsed<Value<'a>> {
        let input = &mut self.input;
        Ok(match code {
            opcode::NONE => Value::None,
            opcode::NEWTRUE => Value::Bool(true),
            opcode::NEWFALSE => Value::Bool(false),
            opcode::BININT => Value::Int(i32::from_le_bytes(input.array()?).into()),
            opcode::BININT1 => Value::Int(input.u8()?.into()),
            opcode::BININT2 => Value::Int(input.u16()?.into()),
            opcode::LONG1 => {
                let count = input.u8()?;
                long(input.counted(count)?)
            }
            opcode::BINFLOAT => Value::Float(f64::from_be_bytes(input.array()?)),
            opcode::SHORT_BINUNICODE => {
                let count = input.u8()?;
                Value::Text(input.text(count)?)
            }
            opcode::BINUNICODE => {
                let count = input.u32()?;
                Value::Text(input.text(count)?)
            }
            opcode::BINUNICODE8 => {
                let count = input.u64()?;
                Value::Text(input.text(count)?)
            }
            opcode::SHORT_BINBYTES => {
                let count = input.u8()?;
                Value::Bytes(Bytes::Raw(input.counted(count)?))
            }
            opcode::BINBYTES => {
                let count = input.u32()?;
                Value::Bytes(Bytes::Raw(input.counted(count)?))
            }
            opcode::BINBYTES8 => {
                let count = input.u64()?;
                Value::Bytes(Bytes::Raw(input.counted(count)?))
            }
            other => {
                let name = opcode::name(other);
                return Err(format!(
                    "opcode {other:#04x} ({name}) is none that `torch.save` writes for tensors"
                ));
            }
        })
    }

    fn tuple(&mut self, is_marked: bool, count: usize) -> Parsed<Value<'a>> {
        let items = self.items(is_marked, count)?;
        Ok(self.heap.add_tuple(items))
    }

    /// What stands for a storage: ('storage', class, key, device, number of elements).
    fn storage(&mut self, id: Value<'a>) -> Parsed<Value<'a>> {
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(kind)),
            Value::Text(key),
            Value::Text(_),
            Value::Int(elements),
        ] = self.heap.tuple(id)?
        else {
            return Err("a persistent id is not that of a storage".to_owned());
        };
        let storage = Storage::new(kind, elements, &self.archive.storage(key)?)?;
        Ok(self.heap.add_storage(storage))
    }

    /// Takes the values above the last mark, or else `count` of them.
    fn items(&mut self, is_marked: bool, count: usize) -> Parsed<Vec<Value<'a>>> {
        let start = if is_marked { self.marks.pop() } else { self.above_mark(count) };
        start
            .map(|start| self.stack.split_off(start))
            .ok_or_else(|| "takes values that are not there".to_owned())
    }

    fn pop(&mut self) -> Parsed<Value<'a>> {
        let top = self.peek()?;
        self.stack.pop();
        Ok(top)
    }

    fn peek(&self) -> Parsed<Value<'a>> {
        let top = self.above_mark(1).and_then(|at| self.stack.get(at));
        top.copied().ok_or_else(|| "takes a value that is not there".to_owned())
    }

    /// Where the last `count` values begin, if so many are above the last mark.
    fn above_mark(&self, count: usize) -> Option<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|start| *start >= floor)
    }
}

/// A signed integer of any length, little-endian.
fn long<'a>(bytes: &[u8]) -> Value<'a> {
    let Some(last) = bytes.last() else { return Value::Int(0) };
    let sign = if last & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [sign; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    let fits =
        bytes.iter().skip(8).all(|byte| *byte == sign) && (bytes.len() <= 8 || wide[7] & 0x80 == sign & 0x80);
    if fits { Value::Int(i64::from_le_bytes(wide)) } else { Value::Opaque }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_length() {
        let int = |bytes: &[u8]| match long(bytes) {
            Value::Int(value) => Some(value),
            _ => None,
        };
        assert_eq!(int(&[]), Some(0));
        assert_eq!(int(&[0xff]), Some(-1));
        assert_eq!(int(&[0xff, 0]), Some(255));
        assert_eq!(int(&i64::MIN.to_le_bytes()), Some(i64::MIN));
        assert_eq!(int(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), None); // 2^64 - 1
        assert_eq!(int(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff]), Some(i64::MIN));
        assert_eq!(int(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
    }
}
