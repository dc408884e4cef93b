import { create, createFileRegistry, type DescService, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

const optional = { label: FieldDescriptorProto_Label.OPTIONAL };
const int = { ...optional, type: FieldDescriptorProto_Type.INT32 };

/** Two files: `shop/shop.proto` imports `shop/item.proto`; the first extends a message of the second twice. */
const files: readonly MessageInitShape<typeof FileDescriptorProtoSchema>[] = [
  {
    name: "shop/item.proto",
    package: "shop",
    syntax: "proto2",
    messageType: [
      {
        name: "Item",
        field: [
          { name: "price", number: 1, ...int, oneofIndex: 0 },
          { name: "gift", number: 2, ...int, oneofIndex: 0 },
        ],
        oneofDecl: [{ name: "cost" }],
        nestedType: [{ name: "Part", field: [{ name: "weight", number: 1, ...int }] }],
        enumType: [{ name: "Size", value: [{ name: "SMALL", number: 0 }] }],
        extensionRange: [{ start: 100, end: 200 }],
      },
      { name: "Plain" },
    ],
  },
  {
    name: "shop/shop.proto",
    package: "shop",
    syntax: "proto2",
    dependency: ["shop/item.proto"],
    messageType: [{ name: "Receipt", extension: [{ name: "tip", number: 120, extendee: ".shop.Item", ...int }] }],
    extension: [{ name: "colour", number: 110, extendee: ".shop.Item", ...int }],
    enumType: [{ name: "Mood", value: [{ name: "GOOD", number: 0 }] }],
    service: [{ name: "Shop", method: [{ name: "Buy", inputType: ".shop.Item", outputType: ".shop.Receipt" }] }],
  },
];

const shopFiles = create(FileDescriptorSetSchema, {
  file: files.map((file) => create(FileDescriptorProtoSchema, file)),
});

/** The shop as a FileDescriptorSet. */
export const shopSet: Uint8Array = toBinary(FileDescriptorSetSchema, shopFiles);

/** The shop's service as protobuf-es knows it. */
export const shopService: DescService = createFileRegistry(shopFiles).getService("shop.Shop")!;
